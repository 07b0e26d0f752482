"""What a round decides on, kept as it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from scheduler.core.cycle.profile import Profile
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Runs, Snapshot
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod


@dataclass(frozen=True, slots=True)
class Inputs:
    """All of it: nothing here changes any more, so that another thread may look at it.

    The snapshot has what is free as numbers; `nodes`, `closed` and `holdings` are what they follow
    from. `now` in seconds since the epoch.
    """

    snapshot: Snapshot
    pending: Mapping[PodUID, Pod]
    now: float
    profile: Profile
    nodes: Mapping[NodeName, Node]
    closed: Mapping[NodeName, str]
    holdings: Mapping[PodUID, Holding]

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        snapshot: Snapshot,
        pending: Iterable[Pod],
        now: float,
        profile: Profile,
    ) -> "Inputs":
        """Return those of a round on this snapshot, which the ledger has made just now."""
        running = snapshot.running
        return cls(
            snapshot=snapshot,
            pending={pod.uid: pod for pod in pending},
            now=now,
            profile=profile,
            nodes=dict(ledger.nodes),
            closed=ledger.closed,
            # Whoever may be stopped was copied for that already.
            holdings=running.holdings if isinstance(running, Runs) else dict(ledger.holdings),
        )

    @property
    def runs(self) -> Runs | None:
        """Since when bound pods run, and who is about to go; None: the round asks for nobody."""
        running = self.snapshot.running
        if isinstance(running, Runs):
            return running
        if not running:
            return None
        since = {each.pod.uid: each.since for each in running}
        ending = frozenset(each.pod.uid for each in running if each.ending)
        return Runs(self.holdings, since, ending)

    def by(self, profile: Profile) -> "Inputs":
        """Return the same, to be decided about in another way."""
        return replace(self, profile=profile)
