"""A read-only copy of the ledger for one round, and a trial that can be rolled back."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.eligibility import Eligibility
from scheduler.core.ledger.holdings import Holding
from scheduler.core.model.gangs import Gathered
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Memory, Running
from scheduler.core.model.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Held:
    """What a tenant holds: milli-GPU in all and of non-preemptible pods; its pods that use GPUs."""

    milli: int = 0
    fixed_milli: int = 0
    pods: int = 0


@dataclass(frozen=True, slots=True)
class Runs:
    """Bound pods that hold devices, made one by one: most rounds don't ask for them.

    `since` (seconds) has those that may be looked at; of them `ending` were asked to go.
    """

    holdings: Mapping[PodUID, Holding]
    since: Mapping[PodUID, float]
    ending: frozenset[PodUID] = frozenset()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return bool(self.holdings)

    def __contains__(self, each: object) -> bool:
        return any(each == running for running in self)

    def __iter__(self) -> Iterator[Running]:
        for uid in self.holdings:
            running = self.find(uid)
            if running is not None:
                yield running

    def find(self, uid: PodUID) -> Running | None:
        """Return that pod; None for one that may not be looked at."""
        since, holding = self.since.get(uid), self.holdings.get(uid)
        if since is None or holding is None or not holding.bound or not holding.placement.slots:
            return None
        return Running(holding.pod, holding.placement, since, uid in self.ending)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a round needs to know. `lags` are GPU-seconds at the round's `now`.

    Nothing in it changes with the ledger, so that a round may run in a thread of its own.
    `limited`: whether any pod of those that run may run for a limited time only. `gathered`: how
    many members gangs have, by name, as far as any has a place. `spent` are tenants over budget.
    `leaving`: how many pods have a place by a round before, and are on their way out of the line.
    """

    columns: Columns
    generation: int = 0
    held: Mapping[TenantName, Held] = field(default_factory=dict)
    tenants: tuple[Tenant, ...] = ()
    lags: Mapping[TenantName, float] = field(default_factory=dict)
    eligibility: Eligibility = field(default_factory=Eligibility)
    running: Collection[Running] = ()
    limited: bool = True
    gathered: Mapping[str, Gathered] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    spent: frozenset[TenantName] = frozenset()
    leaving: int = 0

    def find(self, uids: Iterable[PodUID]) -> list[Running]:
        """Return those of the pods that run, by UID."""
        running, wanted = self.running, sorted(uids)
        if isinstance(running, Runs):
            return [found for uid in wanted if (found := running.find(uid)) is not None]
        known = {each.pod.uid: each for each in running}
        return [known[uid] for uid in wanted if uid in known]

    def nodes_of(self, uids: Iterable[PodUID]) -> tuple[NodeName, ...]:
        """Return where these pods are, by UID: those that have a place and aren't about to go."""
        running = self.running
        if isinstance(running, Runs):
            nodes = {uid: running.holdings[uid].placement.node for uid in uids if self.stays(uid)}
        else:
            wanted, stay = set(uids), (each for each in running if not each.ending)
            nodes = {each.pod.uid: each.placement.node for each in stay if each.pod.uid in wanted}
        return tuple(dict.fromkeys(nodes[uid] for uid in sorted(nodes)))

    def stays(self, uid: PodUID) -> bool:
        """Whether a pod has its place still, and isn't about to go."""
        running = self.running
        if isinstance(running, Runs):
            return uid in running.holdings and uid not in running.ending
        return any(each.pod.uid == uid and not each.ending for each in running)

    def trial(self) -> "Trial":
        """Return a copy to try placements on; the snapshot stays as it is."""
        return Trial(self.columns.copy())


class Trial:
    """Columns to try things on. Every change can be taken back, in reverse order."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._done: list[tuple[Placement, Request, bool]] = []

    def take(self, placement: Placement, request: Request) -> None:
        """Book a placement; indices of its slots must be those of these columns."""
        self._apply(placement, request, taking=True)
        self._done.append((placement, request, True))

    def give(self, placement: Placement, request: Request) -> None:
        """Free a placement."""
        self._apply(placement, request, taking=False)
        self._done.append((placement, request, False))

    @contextmanager
    def attempt(self) -> Iterator["Attempt"]:
        """Roll back what is done inside, unless the attempt says `keep`. Attempts nest."""
        mark, attempt = len(self._done), Attempt()
        try:
            yield attempt
        finally:
            if not attempt.kept:
                self._roll_back(mark)

    def _roll_back(self, mark: int) -> None:
        while len(self._done) > mark:
            placement, request, taken = self._done.pop()
            self._apply(placement, request, taking=not taken)

    def _apply(self, placement: Placement, request: Request, *, taking: bool) -> None:
        change = self.columns.take if taking else self.columns.give
        change(self.columns.row[placement.node], placement.slots, request)


class Attempt:
    """Whether what was tried is kept."""

    def __init__(self) -> None:
        self.kept = False

    def keep(self) -> None:
        """Let it stand."""
        self.kept = True
