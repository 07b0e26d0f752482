"""Service against due in windows of time: a fair week may hold unfair days."""

from dataclasses import dataclass, field
from fractions import Fraction

from scheduler.core.cycle.standing import jain_index
from scheduler.core.model.ids import TenantName


@dataclass(slots=True)
class Windows:
    """GPU-seconds by window, each `seconds` long, and leaf: got, and due of what was delivered."""

    seconds: float
    got: list[dict[TenantName, float]] = field(default_factory=list)
    due: list[dict[TenantName, float]] = field(default_factory=list)

    def passed(
        self, start: float, until: float, got: dict[TenantName, float], due: dict[TenantName, float]
    ) -> None:
        """Add a time in which nothing changed; `got` and `due` in GPUs."""
        while start < until:
            at = int(start / self.seconds)
            while len(self.got) <= at:
                self.got.append({})
                self.due.append({})
            end = min(until, (at + 1) * self.seconds)
            for totals, rates in ((self.got[at], got), (self.due[at], due)):
                for leaf, gpus in rates.items():
                    totals[leaf] = totals.get(leaf, 0.0) + gpus * (end - start)
            start = end

    def jain(self) -> list[float]:
        """Return Jain's index of service ÷ due of each window, over those who were due anything."""
        return [
            jain_index([Fraction(got[leaf] / due[leaf]) for leaf in due if due[leaf] > 0])
            for got, due in zip(self.got, self.due, strict=True)
        ]
