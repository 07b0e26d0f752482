"""Whether it is fairer that some pods are stopped for another one: who would hold how much."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.fairness.limits import over_guarantee, over_limit
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.constraints import NO_CONSTRAINTS
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running
from scheduler.core.model.tenants import tenant_part

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
        self._caps, self._given = work.this.caps, list[Running]()
        self._youngest: dict[TenantName, float] = {}
        self._path = set(self._tree.path(taker.tenant))
        self._leaf, self._tenant = taker.tenant, tenant_part(taker.tenant)
        self.any_priority = self.past_guarantees = False

    @property
    def may_pass_guarantees(self) -> bool:
        """Whether others may be left below theirs, where there is no other way."""
        return self._inside(self._held(self._tenant) + self.needs)

    @property
    def possible(self) -> bool:
        """Whether anything could be allowed at all: most waiting requests needn't be tried."""
        mine = self._taker.priority
        if self._work.this.lowest.get(self._leaf, mine) < mine:
            return True
        return any(map(self._is_possible, {self._leaf, self._tenant}))

    def _is_possible(self, me: TenantName) -> bool:
        if self._due(me) <= 0:
            return False
        after = {me: self._held(me) + self.needs}
        beyond = (after[me] - self._due(me)) / MILLI
        if self._lag(me) > 0 and self._lag(me) >= beyond * self._work.this.profile.undisturbed:
            return True
        if not self._is_below(me):
            return False
        if me == self._tenant and self._inside(after[me]):
            return True
        # At the best nobody else is any further from its share.
        loss = self._unfairness(after) - self._unfairness({me: self._held(me)})
        return loss <= self._unfairness(self._work.turns.held) + NEARLY

    def may_give(self, pod: Pod) -> bool:
        """Whether it is worth a look: of others beyond their share, own ones of less priority."""
        if pod.tenant == self._leaf:
            return pod.priority < self._taker.priority
        # A tenant gives what is least to it: else its first pods would come and go for its last.
        # Where that is of no use it gives others, or a pod of no use would protect them all.
        least = pod.priority == self._work.this.lowest.get(pod.tenant)
        least = least or (self.any_priority and not self._would_pass_on(pod))
        return least and any(
            self._held(name) > self._due(name)
            for name in self._tree.path(self._met(pod.tenant))
            if name not in self._path
        )

    def _would_pass_on(self, pod: Pod) -> bool:
        """Whether it would, made again, be given the place of a pod of its own tenant.

        That one is given in the end, though it may be much larger: in turns, for ever. Only where
        the taker could have had its place: a pod of no use must not protect others.
        """
        mine, its = self._taker.request, pod.request
        if mine.models or its.models or self._taker.constraints != NO_CONSTRAINTS:
            return False
        if self._work.this.kind(self._taker).parts:
            return False
        return any(
            priority < pod.priority
            and devices >= max(mine.devices, its.devices)
            and milli >= max(mine.milli, its.milli)
            for priority, devices, milli in self._work.this.stoppable.get(pod.tenant, ())
        )

    def allows(self, victims: Sequence[Running]) -> bool:
        """Whether these may be stopped for the taker."""
        after = self._after(victims)
        if self._passes_a_cap(victims) or not self._keeps_guarantees(after):
            return False
        if self._cuts_a_turn_short(victims, after):
            return False
        givers = {each.pod.tenant for each in victims} | self._youngest.keys()
        if givers == {self._leaf}:
            return after[self._leaf] <= max(self._held(self._leaf), self._due(self._leaf))
        return all(self._is_fair(me, held) for me, held in self._levels(givers, after))

    def _levels(
        self, givers: Iterable[TenantName], after: Mapping[TenantName, int]
    ) -> Iterator[tuple[TenantName, Mapping[TenantName, int]]]:
        """Yield as whom it takes, and what is held then by those among whom.

        From other tenants a user takes as its tenant, so that they don't lose by how many users
        that has; from users beside it for itself.
        """
        users = {name: milli for name, milli in after.items() if self._tree.tenants[name].user}
        beside = {name: milli for name, milli in users.items() if tenant_part(name) == self._tenant}
        if any(tenant_part(giver) != self._tenant for giver in givers) or not beside:
            yield self._tenant, {name: after[name] for name in after if name not in users}
        if len(beside) > 1:
            yield self._leaf, beside

    def _met(self, leaf: TenantName) -> TenantName:
        """As whom the taker meets a giver: itself, or its tenant."""
        tenant = tenant_part(leaf)
        return leaf if tenant == self._tenant else tenant

    def _is_fair(self, me: TenantName, after: Mapping[TenantName, int]) -> bool:
        if me != self._leaf and not (self._is_below(self._leaf) or self._lag(self._leaf) > 0):
            # Its tenant is due more, but not for this user.
            return False
        if me == self._tenant and self._guaranteed(after):
            return True
        return self._fairer(me, after) or self._paid_by_credit(me, after)

    def _is_below(self, me: TenantName) -> bool:
        return self._held(me) < self._due(me)

    def give(self, victims: Iterable[Running]) -> None:
        """Take it that these are stopped."""
        for each in victims:
            leaf = each.pod.tenant
            self._youngest[leaf] = max(each.since, self._youngest.get(leaf, each.since))
            self._given.append(each)

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
        youngest = [(each.pod.tenant, each.since) for each in victims]
        # What is lent to another tenant comes back at once.
        at_once = self._guaranteed(after)
        return any(
            now - since < turn
            and leaf != self._leaf
            and not (at_once and tenant_part(leaf) != self._tenant)
            and after[giver := self._met(leaf)]
            < self._least_part(giver) * self._due(giver) - NEARLY
            for leaf, since in (*youngest, *self._youngest.items())
        )

    def _least_part(self, giver: TenantName) -> float:
        """What part of its due has to be left to it: as much as the taker has, all at most."""
        me = self._leaf if tenant_part(giver) == self._tenant else self._tenant
        return min(self._held(me) / self._due(me), 1.0) if self._due(me) > 0 else 1.0

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
        change = self._change(self._tree, victims)
        return {name: self._held(name) + milli for name, milli in change.items()}

    def _change(self, tree: TenantTree, victims: Iterable[Running]) -> Counter[TenantName]:
        """Milli-GPU that each tenant would hold more, at every level of that tree."""
        change = Counter(dict.fromkeys(tree.path(self._leaf), self.needs))
        for each in (*self._given, *victims):
            for name in tree.path(each.pod.tenant):
                change[name] -= each.placement.milli
        return change

    def _passes_a_cap(self, victims: Iterable[Running]) -> bool:
        change, work = self._change(self._caps, victims), self._work
        held = {name: work.held[name] + milli for name, milli in change.items()}
        if over_limit(self._caps, held, leaf=self._leaf, milli=0) is not None:
            return True
        if self._taker.preemptible:
            return False
        fixed = over_guarantee(self._caps, work.fixed, leaf=self._leaf, milli=self.needs)
        return fixed is not None

    def _keeps_guarantees(self, after: Mapping[TenantName, int]) -> bool:
        """Only who stays inside its own may pass others': their pods may be larger than theirs."""
        passes = self.past_guarantees and self._inside(after[self._tenant])
        return passes or self._others_keep_theirs(after)

    def _inside(self, milli: int) -> bool:
        return milli <= self._guarantee

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
        due = min(float(self._guarantee), self._due(self._tenant))
        return after[self._tenant] <= due + NEARLY and self._others_keep_theirs(after)

    @property
    def _guarantee(self) -> Fraction:
        """Milli-GPU that the taker's tenant is guaranteed, whichever of its users takes."""
        return self._tree.tenants[self._tenant].guarantee * MILLI

    def _fairer(self, me: TenantName, after: Mapping[TenantName, int]) -> bool:
        if not self._is_below(me):
            return False
        if self._overshoots(me, after) and not self._may_overshoot(me, after):
            return False
        before = {name: self._held(name) for name in after}
        gain = self._unfairness(before) - self._unfairness(after)
        if abs(gain) > NEARLY:
            return gain > 0
        return self._worst_off(after) > self._worst_off(before) + NEARLY

    def _overshoots(self, me: TenantName, after: Mapping[TenantName, int]) -> bool:
        return after[me] > self._due(me) + NEARLY

    def _may_overshoot(self, me: TenantName, after: Mapping[TenantName, int]) -> bool:
        """Beyond its share nobody may take from who is still owed: that one has paid for it."""
        others = (name for name in after if name not in self._path)
        return self._lag(me) >= 0 and all(self._lag(name) <= 0 for name in others)

    def _unfairness(self, held: Mapping[TenantName, int]) -> float:
        dues = {name: self._due(name) / MILLI for name in held}
        return math.fsum(
            (milli / MILLI - dues[name]) ** 2 / max(dues[name], UNDUE)
            for name, milli in held.items()
        )

    def _worst_off(self, held: Mapping[TenantName, int]) -> float:
        """The least part of its share that any of them holds."""
        return min(milli / due for name, milli in held.items() if (due := self._due(name)) > 0)

    def _paid_by_credit(self, me: TenantName, after: Mapping[TenantName, int]) -> bool:
        if not self._overshoots(me, after):
            # Inside its share nobody needs credit, and that doesn't make what is unfair fairer.
            return False
        if self._due(me) <= 0:
            # Without a share nobody keeps what it takes: it would come back, and be taken again.
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
