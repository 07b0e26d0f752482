"""Whether Prometheus' numbers are those that the controller showed at that moment."""

from dataclasses import dataclass

from hack.dashboards.prometheus import Prometheus, Window
from scheduler.cli.demoscreen import Screen
from scheduler.core.model.standing import Standing

NEAR_SECONDS = 2.0
"""A scrape a second, and a look each half second: numbers may be so far apart in time."""

COMPARED = {
    "equipoise_tenant_allocated_gpus": "allocated",
    "equipoise_tenant_fair_share_gpus": "fair_share",
    "equipoise_tenant_pending_pods": "pending_pods",
}
"""Metrics, and what they are in a Standing."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of so many numbers so many lie between the least and the most that was shown then."""

    of: int
    agree: int

    @property
    def good(self) -> bool:
        """Peaks that lasted for less than half a second may have been missed."""
        return self.of > 0 and self.agree >= 0.95 * self.of

    def __str__(self) -> str:
        return f"{self.agree} of {self.of} numbers agree with what the controller showed then"


class Witness(Screen):
    """A screen that remembers."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, quiet=False)
        self._seen: list[Standing] = []

    def show(self, standing: Standing, passed: float) -> None:
        """Show the moment, and remember it."""
        self._seen.append(standing)
        super().show(standing, passed)

    def agreement(self, server: Prometheus, during: Window) -> Agreement:
        """Hold what Prometheus has stored of tenants against what was shown."""
        verdicts = [
            self._was_shown(word, series.labels["tenant"], at, value)
            for metric, word in COMPARED.items()
            for series in server.over(metric, Window(during.start, during.end, 1.0))
            for at, value in series.points
        ]
        return Agreement(len(verdicts), sum(verdicts))

    def _was_shown(self, word: str, tenant: str, at: float, value: float) -> bool:
        shown = [
            float(getattr(each, word))
            for standing in self._seen
            if abs(standing.at - at) <= NEAR_SECONDS
            for each in standing.tenants
            if each.name == tenant
        ]
        return bool(shown) and min(shown) - 1e-6 <= value <= max(shown) + 1e-6
