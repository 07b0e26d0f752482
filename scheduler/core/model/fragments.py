"""Free capacity that can't serve what people ask for, by what keeps it from serving."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fragments:
    """Milli-GPU, expected over the mix of requests.

    `devices`: too little is free of each device, or too few devices of a node are; `cpu`: beside
    devices that would do, their node has too few cores free; `model`: others are asked for; `none`:
    for the part of requests that ask for no GPU.
    """

    devices: int = 0
    cpu: int = 0
    model: int = 0
    none: int = 0

    @property
    def milli(self) -> int:
        """All of it: FGD's F."""
        return self.devices + self.cpu + self.model + self.none
