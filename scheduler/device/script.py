"""Cards that follow a script: what each is, what strangers do on it when, and how it breaks."""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """From second `at` on: utilisation in permille, and MiB that strangers hold.

    `guests_permille`: what each pod of ours on it holds, as a part of its promise.
    """

    at: float
    utilisation: int = 0
    foreign_mib: int = 0
    guests_permille: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """Steps in order of time, each valid until the next; over again every `repeat` seconds."""

    steps: tuple[Step, ...] = ()
    repeat: float | None = None

    def at(self, seconds: float) -> Step:
        """Return the step of that second; before the first one the card is idle."""
        if self.repeat and seconds >= 0:
            seconds %= self.repeat
        place = bisect_right(self.steps, seconds, key=lambda step: step.at)
        return self.steps[place - 1] if place else Step(0.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a card at second `at`; a lost one doesn't even say what it holds."""

    at: float
    text: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """A MIG slice: profile such as "1g.10gb", its compute slices, its MiB, what is held on it."""

    profile: str
    slices: int
    memory_mib: int
    load: Load = Load()


@dataclass(frozen=True, slots=True)
class Card:
    """One card; with `slices` it is given by the slice, not as a whole. DeviceRecord has `link`."""

    model: str
    memory_mib: int
    load: Load = Load()
    fault: Fault | None = None
    slices: tuple[Slice, ...] = ()
    link: int | None = None

    def fault_at(self, seconds: float) -> Fault | None:
        """Return what is wrong with it at that second."""
        return self.fault if self.fault and seconds >= self.fault.at else None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine by name, with its CPU (milli), memory (MiB) and cards."""

    name: str
    cpu_milli: int
    ram_mib: int
    cards: tuple[Card, ...]
