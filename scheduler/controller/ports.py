"""What the controller needs from outside: somebody who carries out, and somebody who watches."""

from typing import Protocol

from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Admit, Hold


class Applier(Protocol):
    """Carries decisions out: the API server's client live, the embedded cluster without one."""

    async def release(self, admit: Admit) -> bool:
        """Take our gate off the pod and pin it to its nodes, in one write; False if it is gone.

        Whatever it raises means that the outcome is unknown: it is called again for the same place.
        """
        ...

    async def hold(self, hold: Hold) -> None:
        """Tell people why the pod waits. Called only when the reason changes."""
        ...


class Watcher(Protocol):
    """Counts what happens; `telemetry.metrics.Metrics` is one."""

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        """A pod was bound `seconds` after it was made, `turn` after it was its tenant's next."""
        ...

    def count_decision(self, outcome: str, reason: str = "", *, by: int = 1) -> None:
        """`by` decisions were taken."""
        ...

    def observe_cycle(self, phase: str, seconds: float) -> None:
        """A phase of a round took so many seconds."""
        ...
