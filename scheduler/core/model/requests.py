"""What one pod asks for."""

from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.core.model import amounts
from scheduler.core.model.amounts import MILLI

MAX_DEVICES = 128
"""More devices than any node holds; keeps a typing error from becoming a huge array."""


class Spreading(StrEnum):
    """How a pod wants to share: on the fullest card that fits, or on the emptiest."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Request:
    """Devices of one node, each with the same share, and the CPU and memory beside them.

    A share is either `milli` (1..1000 milli-GPU of each device, 1000 = the whole device) or
    `memory_mib` (MiB on each device, `milli` 0). `devices` 0 asks for no GPU at all.
    `models` empty means any model; MIG slices are given only to who names their model. `linked`:
    its devices have to be linked by NVLink.
    """

    devices: int = 0
    milli: int = 0
    memory_mib: int = 0
    cpu_milli: int = 0
    ram_mib: int = 0
    models: tuple[str, ...] = ()
    spreading: Spreading = Spreading.PACK
    linked: bool = False
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        parts = (self.devices, self.milli, self.memory_mib, self.cpu_milli, self.ram_mib)
        which = (self.models, self.spreading, self.linked)
        object.__setattr__(self, "_hash", hash((parts, which)))

    def __hash__(self) -> int:
        # Every score and count is looked up by request, thousands of times in a round.
        return self._hash

    @property
    def whole(self) -> bool:
        """Whether it takes its devices as a whole, with nobody else on them."""
        return self.milli == MILLI

    @property
    def total_milli(self) -> int:
        """Milli-GPU in all; 0 for a request by memory, which counts by the card it lands on."""
        return self.devices * self.milli

    def describe(self) -> str:
        """Say it in a few words: "0.25 GPU", "2 × 8192 MiB of T4", "CPU only"."""
        if not self.devices:
            return "CPU only"
        if self.memory_mib:
            each = f"{self.memory_mib} MiB"
            text = each if self.devices == 1 else f"{self.devices} × {each}"
        elif self.whole:
            text = f"{self.devices} GPU" + ("s" if self.devices > 1 else "")
        else:
            each = f"{amounts.format_gpus(self.milli)} GPU"
            text = each if self.devices == 1 else f"{self.devices} × {each}"
        text += f" of {' or '.join(self.models)}" if self.models else ""
        return f"{text} linked by NVLink" if self.linked else text
