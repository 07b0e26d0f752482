"""At the latest: how long the next request of a tenant waits at most, as things stand now.

Either running pods would be stopped for it, or its turn comes as jobs end. Both suppose that
nothing breaks and nobody's share changes meanwhile; docs/concepts/fairness.md states both bounds.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.fairness.bound import Contender, wait_by_turns
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory, Running


@dataclass(frozen=True, slots=True)
class Latest:
    """Seconds until it starts at the latest, inf if nothing bounds that; whose pods would end."""

    seconds: float
    victims: tuple[Pod, ...] = ()


def latest(
    snapshot: Snapshot,
    pending: Sequence[Pod],
    pod: Pod,
    now: float,
    profile: Profile,
) -> Latest:
    """Return it for a pod that is its tenant's next, from `now` (seconds)."""
    asked = _Question(snapshot, pending, pod, now, replace(profile, backlog=None))
    stopping, turn = asked.by_reclaim(), Latest(asked.by_turns())
    return min(stopping, turn, key=lambda each: each.seconds)


@dataclass(frozen=True, slots=True)
class _Question:
    snapshot: Snapshot
    pending: Sequence[Pod]
    pod: Pod
    now: float
    profile: Profile

    def by_reclaim(self) -> Latest:
        """See who would be stopped for it, were all patience over now."""
        after, least = self.profile.reclaim_after, self.profile.min_runtime
        if after is None:
            return Latest(math.inf)
        # First who may be stopped soon, then who is in its turn still.
        for turn in (self.profile.turn_runtime, 0.0):
            stopped = self._victims(turn)
            if stopped:
                protected = least if turn else max(least, self.profile.turn_runtime)
                spared = max(protected - (self.now - each.since) for each in stopped)
                pods = tuple(each.pod for each in stopped)
                return Latest(max(after, spared) + self.profile.ending_seconds, pods)
        return Latest(math.inf)

    def by_turns(self) -> float:
        """See when its turn comes, where weights alone decide and every job has an end."""
        tree, pods = TenantTree(self.snapshot.tenants), list(self._all_pods())
        longest = _longest(tree, pods)
        if (
            self.snapshot.spent
            or not _is_plain(tree)
            or not all(map(_is_simple, pods))
            or longest is None
        ):
            return math.inf
        still = replace(self.snapshot, running=())
        plan = run_cycle(still, self.pending, self.now, self.profile)
        return wait_by_turns(
            self.pod.tenant,
            _contenders(self.snapshot, tree, plan, pods),
            gpus=float(sum(plan.shares[name] for name in tree.leaves)),
            longest=longest + self.profile.ending_seconds,
            horizon=self.profile.horizon,
        )

    def _all_pods(self) -> Iterator[Pod]:
        yield from self.pending
        yield from (each.pod for each in self.snapshot.running)
        # Those of which nobody knows for how long they run.
        if sum(held.pods for held in self.snapshot.held.values()) > len(self.snapshot.running):
            yield replace(self.pod, max_runtime=None, tenant=TenantName(""))

    def _victims(self, turn: float) -> list[Running]:
        at_once = replace(
            self.profile,
            reclaim_after=0.0,
            min_runtime=0.0,
            turn_runtime=turn,
            # Credit has to pay for as much as ever.
            credit_runtime=self.profile.undisturbed,
        )
        asked = replace(self.snapshot, memory=Memory())
        plan = run_cycle(asked, self.pending, self.now, at_once)
        mine = [each for each in plan.evicts if each.taker and each.taker.uid == self.pod.uid]
        victims = {each.pod.uid for each in mine}
        return [each for each in self.snapshot.running if each.pod.uid in victims]


def _is_plain(tree: TenantTree) -> bool:
    """Whether weights alone decide between tenants that all stand side by side."""
    leaves = [tree.tenants[name] for name in tree.leaves]
    return not tree.inner and all(
        each.limit is None
        and not (each.guarantee or each.contributed)
        and each.priority == leaves[0].priority
        for each in leaves
    )


def _is_simple(pod: Pod) -> bool:
    """Whether it is of the kind that the bound by turns is proven for."""
    request = pod.request
    return request.devices == 1 and request.whole and not request.models and not pod.foreign_gates


def _contenders(
    snapshot: Snapshot, tree: TenantTree, plan: Plan, pods: Iterable[Pod]
) -> dict[TenantName, Contender]:
    busy = {pod.tenant for pod in pods}
    return {
        name: Contender(
            share=float(plan.shares[name]),
            held=held.milli / MILLI if (held := snapshot.held.get(name)) else 0.0,
            lag=snapshot.lags.get(name, 0.0),
            largest=1.0 if name in busy else 0.0,
        )
        for name in tree.leaves
    }


def _longest(tree: TenantTree, pods: Iterable[Pod]) -> float | None:
    """How long any of the pods may run; None if one has no end."""
    ends = []
    for pod in pods:
        said = (pod.max_runtime, tree.longest.get(pod.tenant))
        ends.append(min((each for each in said if each is not None), default=math.inf))
    longest = max(ends, default=math.inf)
    return None if math.isinf(longest) else longest
