"""Whether it is fairer that some pods are stopped for another one: who would hold how much."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.fairness.limits import over_guarantee, over_limit
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running

NEARLY = 1e-9
UNDUE = 1e-3
"""GPUs: stands for a share of 0, so that whatever is held without being due weighs most."""


class Balance:
    """Judges for one taker, on what everybody holds now; amounts in milli-GPU.

    Of a gang member by member: `needs` is what those take that were looked at so far, `give` notes
    who is to be stopped for them already.
    """

    def __init__(self, work: Allocation, taker: Pod) -> None:
        self._work, self._taker = work, taker
        self._tree, self.needs = work.this.tree, work.this.counts(taker)
        self._given: Counter[TenantName] = Counter()
        self._youngest: dict[TenantName, float] = {}
        self._path = set(self._tree.path(taker.tenant))
        leaf = taker.tenant
        self._below = self._held(leaf) < self._due(leaf)
        self.any_priority = False

    @property
    def possible(self) -> bool:
        """Whether anything could be allowed at all: most waiting requests needn't be tried."""
        leaf, mine = self._taker.tenant, self._taker.priority
        if self._work.this.lowest.get(leaf, mine) < mine:
            return True
        after = {leaf: self._held(leaf) + self.needs}
        beyond = (after[leaf] - self._due(leaf)) / MILLI
        if self._lag(leaf) > 0 and self._lag(leaf) >= beyond * self._work.this.profile.undisturbed:
            return True
        if not self._below:
            return False
        if after[leaf] <= self._tree.tenants[leaf].guarantee * MILLI:
            return True
        # At the best nobody else is any further from its share.
        loss = self._unfairness(after) - self._unfairness({leaf: self._held(leaf)})
        return loss <= self._unfairness(self._work.turns.held) + NEARLY

    def may_give(self, pod: Pod) -> bool:
        """Whether it is worth a look: of others beyond their share, own ones of less priority."""
        if pod.tenant == self._taker.tenant:
            return pod.priority < self._taker.priority
        # A tenant gives what is least to it: else its first pods would come and go for its last.
        # Where that is of no use it gives others, or a pod of no use would protect them all.
        least = self.any_priority or pod.priority == self._work.this.lowest.get(pod.tenant)
        return least and any(
            self._held(name) > self._due(name)
            for name in self._tree.path(pod.tenant)
            if name not in self._path
        )

    def allows(self, victims: Sequence[Running]) -> bool:
        """Whether these may be stopped for the taker."""
        after = self._after(victims)
        if self._passes_a_cap(after) or not self._keeps_guarantees(after):
            return False
        if self._cuts_a_turn_short(victims, after):
            return False
        givers = {each.pod.tenant for each in victims} | self._youngest.keys()
        if givers == {self._taker.tenant}:
            leaf = self._taker.tenant
            return after[leaf] <= max(self._held(leaf), self._due(leaf))
        return self._guaranteed(after) or self._fairer(after) or self._paid_by_credit(after)

    def give(self, victims: Iterable[Running]) -> None:
        """Take it that these are stopped."""
        for each in victims:
            leaf = each.pod.tenant
            self._youngest[leaf] = max(each.since, self._youngest.get(leaf, each.since))
            for name in self._tree.path(leaf):
                self._given[name] += each.placement.milli

    @property
    def has_givers(self) -> bool:
        """Whether anybody is stopped already."""
        return bool(self._youngest)

    def _cuts_a_turn_short(
        self, victims: Iterable[Running], after: Mapping[TenantName, int]
    ) -> bool:
        """Whether somebody in its turn would be left with less of its due than the taker has.

        A share smaller than a job comes as turns: at times more than is due, then nothing.
        """
        now, turn = self._work.this.now, self._work.this.profile.turn_runtime
        leaf = self._taker.tenant
        mine = self._held(leaf) / self._due(leaf) if self._due(leaf) > 0 else math.inf
        youngest = [(each.pod.tenant, each.since) for each in victims]
        return any(
            now - since < turn
            and giver != leaf
            and after[giver] < min(mine, 1.0) * self._due(giver) - NEARLY
            for giver, since in (*youngest, *self._youngest.items())
        )

    def _held(self, name: TenantName) -> int:
        return self._work.turns.held[name]

    def _due(self, name: TenantName) -> float:
        dues = self._work.dues
        if name not in dues:
            # In that order: a share that is a whole number of milli-GPU has to stay one.
            dues[name] = float(self._work.this.shares[name] * MILLI)
        return dues[name]

    def _lag(self, name: TenantName) -> float:
        return self._work.this.snapshot.lags.get(name, 0.0)

    def _after(self, victims: Iterable[Running]) -> dict[TenantName, int]:
        """What each tenant that it concerns would hold."""
        change = Counter({name: -milli for name, milli in self._given.items()})
        for name in self._path:
            change[name] += self.needs
        for each in victims:
            for name in self._tree.path(each.pod.tenant):
                change[name] -= each.placement.milli
        return {name: self._held(name) + milli for name, milli in change.items()}

    def _passes_a_cap(self, after: Mapping[TenantName, int]) -> bool:
        held = {name: after.get(name, self._held(name)) for name in self._path}
        if over_limit(self._tree, held, leaf=self._taker.tenant, milli=0) is not None:
            return True
        if self._taker.preemptible:
            return False
        leaf, fixed = self._taker.tenant, self._work.fixed
        return over_guarantee(self._tree, fixed, leaf=leaf, milli=self.needs) is not None

    def _keeps_guarantees(self, after: Mapping[TenantName, int]) -> bool:
        """Only who stays inside its own may pass others': their pods may be larger than theirs."""
        leaf = self._taker.tenant
        inside = after[leaf] <= self._tree.tenants[leaf].guarantee * MILLI
        return inside or self._others_keep_theirs(after)

    def _others_keep_theirs(self, after: Mapping[TenantName, int]) -> bool:
        return all(
            milli + NEARLY
            >= min(float(self._tree.tenants[name].guarantee) * MILLI, self._due(name))
            for name, milli in after.items()
            if name not in self._path
        )

    def _guaranteed(self, after: Mapping[TenantName, int]) -> bool:
        """Whether the taker stays inside its guarantee, and those who give keep theirs.

        Then it needn't be fairer: who gives may have a pod, or a gang, that is larger than what it
        has too much.
        """
        leaf = self._taker.tenant
        guarantee = float(self._tree.tenants[leaf].guarantee) * MILLI
        inside = after[leaf] <= min(guarantee, self._due(leaf)) + NEARLY
        return inside and self._others_keep_theirs(after)

    def _fairer(self, after: Mapping[TenantName, int]) -> bool:
        if not self._below or (self._overshoots(after) and not self._may_overshoot(after)):
            return False
        before = {name: self._held(name) for name in after}
        gain = self._unfairness(before) - self._unfairness(after)
        if abs(gain) > NEARLY:
            return gain > 0
        return self._worst_off(after) > self._worst_off(before) + NEARLY

    def _overshoots(self, after: Mapping[TenantName, int]) -> bool:
        leaf = self._taker.tenant
        return after[leaf] > self._due(leaf) + NEARLY

    def _may_overshoot(self, after: Mapping[TenantName, int]) -> bool:
        """Beyond its share nobody may take from who is still owed: that one has paid for it."""
        others = (name for name in after if name not in self._path)
        return self._lag(self._taker.tenant) >= 0 and all(self._lag(name) <= 0 for name in others)

    def _unfairness(self, held: Mapping[TenantName, int]) -> float:
        dues = {name: self._due(name) / MILLI for name in held}
        return math.fsum(
            (milli / MILLI - dues[name]) ** 2 / max(dues[name], UNDUE)
            for name, milli in held.items()
        )

    def _worst_off(self, held: Mapping[TenantName, int]) -> float:
        """The least part of its share that any of them holds."""
        return min(milli / due for name, milli in held.items() if (due := self._due(name)) > 0)

    def _paid_by_credit(self, after: Mapping[TenantName, int]) -> bool:
        if not self._overshoots(after):
            # Inside its share nobody needs credit, and that doesn't make what is unfair fairer.
            return False
        undisturbed = self._work.this.profile.undisturbed
        for name, milli in after.items():
            beyond = milli - self._due(name)
            if name in self._path:
                unpaid = self._lag(name) < beyond / MILLI * undisturbed
                if milli > self._held(name) and beyond > 0 and unpaid:
                    return False
            elif self._held(name) <= self._due(name) or self._lag(name) > 0:
                return False
        return True
