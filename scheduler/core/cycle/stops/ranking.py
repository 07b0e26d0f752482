"""Where to look first: nodes by what it costs at least to make room there for one kind of request.

A bound, worked out without trying: what is free counts as if it were of use, and bundles as if
parts of them could be stopped. So the nodes behind one whose way costs less need no look.
"""

from bisect import insort
from collections.abc import Iterable, Iterator

from scheduler.core.cycle.allocation import Allocation
from scheduler.core.cycle.kinds import Kind
from scheduler.core.cycle.stops.bundles import Bundle, Bundles, Cost
from scheduler.core.model.ids import NodeName

MOST_TRIED = 64
"""So many nodes are tried after a way was found: of thousands that are alike all cost the same."""

_NEARLY, _ALIKE = 1e-9, 1e-6


class Ranking:
    """Nodes where somebody may be stopped for such a request, without those that can't be enough.

    `bundles` and what is free change: `update` tells where.
    """

    def __init__(self, work: Allocation, bundles: Bundles, kind: Kind) -> None:
        self._work, self._kind = work, kind
        self._nodes: list[tuple[Cost, NodeName]] = []
        self.update(bundles, bundles.on)

    def update(self, bundles: Bundles, nodes: Iterable[NodeName]) -> None:
        """Look at these nodes anew."""
        anew = set(nodes)
        self._nodes = [each for each in self._nodes if each[1] not in anew]
        for node in anew:
            cost = self._at_least(node, bundles.on.get(node, ()))
            if cost is not None:
                insort(self._nodes, (cost, node))

    def __iter__(self) -> Iterator[tuple[Cost, NodeName]]:
        return iter(tuple(self._nodes))

    @staticmethod
    def is_over(at_least: Cost, best: Cost) -> bool:
        """Whether a node where it costs at least that, and those behind it, need no look any more.

        Where several have to be stopped, one that loses as much is as good: thousands of nodes may.
        """
        return at_least > best or (not at_least[3] and at_least[0] >= best[0] * (1 - _ALIKE))

    def _at_least(self, node: NodeName, bundles: Iterable[Bundle]) -> Cost | None:
        bundles = tuple(bundles)
        row = self._work.trial.columns.row.get(node)
        if row is None or not bundles:
            return None
        least = min(bundle.cost for bundle in bundles)
        lack = lacking(self._work, self._kind, row)
        lost = 0.0
        for bundle in sorted(bundles, key=lambda each: each.cost[0] / max(each.milli_on(node), 1)):
            if lack <= 0:
                break
            milli = bundle.milli_on(node)
            part = min(1.0, lack / max(milli, 1))
            lost += bundle.cost[0] * part
            lack -= milli
        if lack > 0 or self._lacks_others(row, bundles):
            return None
        lost -= _NEARLY * max(lost, 1.0)
        return least if lost <= least[0] else (lost, 1, 0.0, "")

    def _lacks_others(self, row: int, bundles: Iterable[Bundle]) -> bool:
        """Whether CPU or memory won't do even if all of them go."""
        columns, request = self._work.trial.columns, self._kind.request
        node = columns.names[row]
        asked = [
            each.pod.request
            for bundle in bundles
            for each in bundle.pods
            if each.placement.node == node
        ]
        cpu = int(columns.free_cpu[row]) + sum(each.cpu_milli for each in asked)
        ram = int(columns.free_ram[row]) + sum(each.ram_mib for each in asked)
        return cpu < request.cpu_milli or ram < request.ram_mib


def lacking(work: Allocation, kind: Kind, row: int) -> int:
    """Return how many milli-GPU at least have to become free on the row; 0 if that isn't known.

    By memory a request counts by the card that it lands on; a MIG slice counts less than a card.
    """
    request, columns = kind.request, work.trial.columns
    if request.memory_mib or columns.mig_models or not request.devices:
        return 0
    least = min((int(cap) for cap in columns.cap[row] if cap > 0), default=0)
    need = request.devices * (least if request.whole else request.milli)
    free: int = sum(milli for milli in columns.room[row].tolist() if milli > 0)
    return max(0, need - free)
