"""Whose turn it is, again and again within one round.

At each level, from the top, among siblings with a candidate below them:

1. who stays inside its guarantee with its next request (as far as the cluster can honour it: the
   smaller of guarantee and fair share), then who is still owed something, then who isn't, last
   those with a share of 0, who live on what is idle;
2. the tenant's priority, higher first;
3. who is owed the most seconds of its own share: (L + H·(s − a)) ÷ s, with lag L, fair share s,
   held a and horizon H; with s = 0 who holds least for its weight, weight 0 after all others;
4. (created, name).

H·(s − a) is what lag will be once what was given out has been held for a while. Lag itself moves
only with time: without the horizon one tenant takes every GPU that is free at one moment. "Is owed"
stands before priority because the fair share knows about priority already: otherwise a tenant of
high priority and weight 0 would take what the division gives to others.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from scheduler.core.fairness.lag import Lags
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import TenantName

HORIZON_SECONDS = 300.0
"""What is started is charged for so long at once. With two minutes a tenant of a tenth of a GPU
that was owed an hour of it started two jobs of four GPUs at once now and then, and was ahead by
both. Ten minutes make the small ones of a burst wait longer."""

_INSIDE_GUARANTEE, _OWED, _SERVED, _IDLE_ONLY, _IDLE_WITHOUT_WEIGHT = range(5)

_Key = tuple[int, int, float, int]


class Turns:
    """Who goes next, given how everybody stands at the beginning of a round.

    Only `took` moves anybody: a tenant whose queue holds nothing that fits leaves the candidates
    and keeps its lag. After a change a turn costs O(log siblings) on one path of the tree, on
    floats and integers made once.
    """

    __slots__ = (
        "_first",
        "_groups",
        "_guaranteed",
        "_heads",
        "_heaps",
        "_held",
        "_horizon",
        "_lag",
        "_offered",
        "_rank",
        "_share",
        "_stale",
        "_standing",
        "_tree",
    )

    def __init__(
        self,
        tree: TenantTree,
        *,
        shares: Mapping[TenantName, Fraction],
        lags: Lags,
        held: Mapping[TenantName, int],
        horizon: float = HORIZON_SECONDS,
    ) -> None:
        """`shares` in GPUs for all, `lags` as of now, `held` in milli-GPU by leaf."""
        self._tree = tree
        self._horizon = horizon
        self._held = tree.roll_up(held, 0)
        self._share = {name: float(shares.get(name, 0)) for name in tree.names}
        self._lag = {name: lags.values.get(name, 0.0) for name in tree.names}
        self._guaranteed = {
            name: int(min(tree.tenants[name].guarantee, shares.get(name, 0)) * MILLI)
            for name in tree.names
        }
        parents: tuple[TenantName | None, ...] = (None, *tree.inner)
        self._rank = {name: i for parent in parents for i, name in enumerate(tree.children(parent))}
        self._standing = {name: self._stand(name) for name in tree.names}
        self._groups: dict[TenantName | None, dict[TenantName, _Key]] = {p: {} for p in parents}
        # Of each group the keys, and what they were before: those no longer true go when they lead.
        self._heaps: dict[TenantName | None, list[_Key]] = {p: [] for p in parents}
        self._first: dict[TenantName | None, TenantName] = {}
        self._heads: dict[TenantName, int] = {}
        self._offered: dict[TenantName, int] = {}
        self._stale: set[TenantName] = set()

    @property
    def held(self) -> Mapping[TenantName, int]:
        """Milli-GPU held now, for every tenant, with what was taken in this round."""
        return MappingProxyType(self._held)

    @property
    def offered(self) -> frozenset[TenantName]:
        """The leaves that may have a turn."""
        return frozenset(self._offered)

    def next(self, candidates: Mapping[TenantName, int] | None = None) -> TenantName | None:
        """Return the leaf whose turn it is; None if there is no candidate.

        `candidates` is the milli-GPU of the next request of each leaf that may go, and replaces
        what was offered; without it, that counts. Raise KeyError for a name that is no leaf.
        """
        if candidates is not None:
            for leaf, milli in candidates.items():
                self.offer(leaf, milli)
            for leaf in [leaf for leaf in self._offered if leaf not in candidates]:
                self.withdraw(leaf)
        if self._stale:
            self._refresh()
        name = self._first.get(None)
        while name is not None and not self._tree.is_leaf(name):
            name = self._first[name]
        return name

    def offer(self, leaf: TenantName, milli: int) -> None:
        """Say what the leaf's next request counts. Raise KeyError for a name that is no leaf."""
        if self._offered.get(leaf) == milli:
            return
        if leaf not in self._tree or not self._tree.is_leaf(leaf):
            raise KeyError(leaf)
        self._offered[leaf] = self._heads[leaf] = milli
        self._stale.add(leaf)

    def withdraw(self, leaf: TenantName) -> None:
        """Say that the leaf, which was offered, has no request that may go."""
        del self._offered[leaf]
        del self._heads[leaf]
        self._stale.add(leaf)

    def took(self, leaf: TenantName, milli: int) -> None:
        """Count what a leaf was given, for it and for all above it."""
        for name in self._tree.charge(self._held, leaf, milli):
            self._standing[name] = self._stand(name)
        self._stale.add(leaf)

    def owed_seconds(self, name: TenantName) -> float | None:
        """Seconds of its own share that a tenant is owed over the horizon; None if it has none."""
        share = self._share[name]
        if share <= 0:
            return None
        missing = share - self._held[name] / MILLI
        # Microseconds are noise of the floats: rounded away, equal tenants go by age.
        return round((self._lag[name] + self._horizon * missing) / share, 6)

    def _stand(self, name: TenantName) -> tuple[int, float]:
        """Class and place in it, lower first, for a request that the guarantee doesn't cover."""
        owed = self.owed_seconds(name)
        if owed is not None:
            return (_OWED if owed > 0 else _SERVED), -owed
        weight = self._tree.tenants[name].weight
        if weight > 0:
            return _IDLE_ONLY, self._held[name] / float(weight)
        return _IDLE_WITHOUT_WEIGHT, float(self._held[name])

    def _key(self, name: TenantName) -> _Key:
        inside = self._held[name] + self._heads[name] <= self._guaranteed[name]
        standing, place = self._standing[name]
        priority = self._tree.tenants[name].priority
        return (_INSIDE_GUARANTEE if inside else standing, -priority, place, self._rank[name])

    def _refresh(self) -> None:
        """Bring up to date what hangs on stale leaves, the deepest level first."""
        levels: dict[int, set[TenantName]] = {}
        for leaf in self._stale:
            levels.setdefault(self._tree.depth[leaf], set()).add(leaf)
        self._stale.clear()
        for depth in range(max(levels, default=-1), -1, -1):
            above = self._settle(levels.get(depth, ()))
            if above:
                levels.setdefault(depth - 1, set()).update(above)

    def _settle(self, names: Iterable[TenantName]) -> list[TenantName]:
        """Place tenants of one level among their siblings; return the parents, which may move."""
        parents: set[TenantName | None] = set()
        for name in names:
            parent = self._tree.tenants[name].parent
            parents.add(parent)
            if name in self._heads:
                key = self._groups[parent][name] = self._key(name)
                heappush(self._heaps[parent], key)
            else:
                self._groups[parent].pop(name, None)
        for parent in parents:
            self._elect(parent)
        return [parent for parent in parents if parent is not None]

    def _elect(self, parent: TenantName | None) -> None:
        """Note who goes first among siblings: it stands for its parent one level up."""
        group, heap = self._groups[parent], self._heaps[parent]
        if not group:
            heap.clear()
            self._first.pop(parent, None)
            if parent is not None:
                self._heads.pop(parent, None)
            return
        if len(heap) > 4 * len(group) + 16:
            heap[:] = group.values()
            heapify(heap)
        siblings = self._tree.children(parent)
        while group.get(first := siblings[heap[0][-1]]) != heap[0]:
            heappop(heap)
        self._first[parent] = first
        if parent is not None:
            self._heads[parent] = self._heads[first]
