"""What the controller needs from outside: who carries out, who watches, who takes it down."""

from typing import Protocol

from scheduler.core.journal.inputs import Inputs
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.plans import Admit, Hold, Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict


class Applier(Protocol):
    """Carries decisions out: the API server's client live, the embedded cluster without one.

    Called for several pods at once, never twice at once for one pod's release.
    """

    async def release(self, admit: Admit) -> bool:
        """Take our gate off the pod and pin it to its nodes, in one write; False if it is gone.

        Raises ReleaseRefused if the pod keeps its gate. Whatever else it raises means that the
        outcome is unknown: it is called again for the same place.
        """
        ...

    async def hold(self, hold: Hold) -> None:
        """Tell people why the pod waits. Called only when the reason changes."""
        ...

    async def warn(self, pod: Pod, verdict: Verdict) -> None:
        """Tell people what befell a pod that runs. Called once for each change of it."""
        ...

    async def evict(self, pod: Pod, why: Verdict) -> bool:
        """Have the pod go, so that its owner makes it again; True: it is going, or gone.

        False, or whatever it raises: it stays for now, and it is asked again after a while.
        """
        ...

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        """Have a bound pod end for another one; True: it is going, or gone.

        False, or whatever it raises: it stays for now, and it is asked again after a while.
        `past_budgets`: disruption budgets have had their time.
        """
        ...

    async def make_way(self, running: Pod, waiting: Pod) -> bool:
        """Evict a pod if the other one is of a newer revision of its Deployment; True: it goes.

        Called again after a while.
        """
        ...

    async def remind(self, pod: Pod, node: NodeName) -> None:
        """Have kube-scheduler look again at a pod that it turned down: the node has room for it."""
        ...


class Watcher(Protocol):
    """Counts what happens; `telemetry.metrics.Metrics` is one."""

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        """A pod was bound `seconds` after it was made, `turn` after it was its tenant's next."""
        ...

    def count_decision(self, outcome: str, reason: str = "", *, by: int = 1) -> None:
        """`by` decisions were taken."""
        ...

    def observe_loss(self, pod: Pod, gpu_seconds: float) -> None:
        """A pod was stopped for another one, after so much work."""
        ...

    def observe_hold(self, reason: str, pod_seconds: float) -> None:
        """Pods waited for that reason, for so long in all."""
        ...

    def observe_cycle(self, phase: str, seconds: float) -> None:
        """A phase of a round took so many seconds."""
        ...


class Journal(Protocol):
    """Takes down what rounds saw and decided; `telemetry.journalthread.JournalThread` is one."""

    def note(self, inputs: Inputs, plan: Plan) -> None:
        """A round came to that plan. Returns at once, and raises nothing."""
        ...
