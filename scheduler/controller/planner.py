"""Plans a pod in filter: one that wasn't gated, or whose planned node isn't offered any more."""

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np

from scheduler.core.cycle.admit import tenantless
from scheduler.core.cycle.allocation import ALTERNATIVES
from scheduler.core.cycle.capacity import Capacity
from scheduler.core.cycle.caps import over_caps
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.block import Ints
from scheduler.core.ledger.eligibility import Eligibility
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer

FEW = 64
"""So many nodes are asked one by one: pinned pods name their own, no two of them the same."""


class Planner:
    """Looks for a place among some nodes, on the ledger as it stands. Books nothing.

    It keeps scores from call to call; what changed in the ledger since is scored again.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        policy: str,
        tree: Callable[[], TenantTree],
        mix: Callable[[], Mix],
    ) -> None:
        self._ledger, self._policy = ledger, policy
        self._tree, self._mix = tree, mix
        self._packed: tuple[Mix, Packer] | None = None
        self._empty: tuple[int, Eligibility, Capacity] | None = None

    def __call__(self, pod: Pod, names: Sequence[NodeName]) -> Placement | Verdict:
        """Return the best place among the named nodes, or why there is none.

        Nodes that the pod's constraints exclude, as far as we know, come after all others:
        kube-scheduler, which offers them, may know more.
        """
        tree = self._tree().with_users((pod.tenant,))
        if (refusal := tenantless(tree, pod)) is not None:
            return refusal
        rows = self._ledger.columns.row
        offered = np.fromiter((rows[name] for name in names if name in rows), dtype=np.int64)
        allowed = self._allowed(pod, offered)
        placement = self._place(pod, allowed)
        if placement is None and len(allowed) < len(offered):
            placement = self._place(pod, offered)
        if placement is None:
            return self._no_place(pod)
        return self._over_caps(tree, pod, placement) or placement

    def anywhere(self, pod: Pod) -> Admit | None:
        """Return the best place of all, as a round would choose it; None if there is none."""
        tree = self._tree().with_users((pod.tenant,))
        if not pod.request.devices or tenantless(tree, pod) is not None:
            return None
        among = self._ledger.eligibility.now(pod.constraints)
        placement = self._place(pod, among)
        if placement is None or self._over_caps(tree, pod, placement) is not None:
            return None
        packer = self._packer()
        others = packer.others(pod.request, placement.node, ALTERNATIVES, among=among)
        return Admit(pod, placement, others)

    def _place(self, pod: Pod, rows: Ints | None) -> Placement | None:
        return self._packer().place(pod.request, among=rows, seed=crc32(pod.uid.encode()))

    def _allowed(self, pod: Pod, offered: Ints) -> Ints:
        """Those of the offered rows that the constraints allow, in the same order."""
        names, nodes = self._ledger.columns.names, self._ledger.nodes
        if len(offered) <= FEW:
            known = [(row, nodes.get(names[row])) for row in offered.tolist()]
            allowed = [row for row, node in known if node and pod.constraints.allow(node)]
            return np.array(allowed, dtype=np.int64)
        rows = self._ledger.eligibility.now(pod.constraints)
        return offered if rows is None else offered[np.isin(offered, rows, kind="table")]

    def _no_place(self, pod: Pod) -> Verdict:
        """Tell what could fit some time from what never will."""
        capacity = self._capacity()
        if capacity.counts(pod.request, pod.constraints) is None:
            lacks = capacity.missing(pod.request, pod.constraints)
            return Verdict(Reason.NEVER_FITS, lacks)
        return Verdict(Reason.NO_ROOM)

    def _capacity(self) -> Capacity:
        columns, eligibility = self._ledger.columns, self._ledger.eligibility
        made = self._empty
        if made is None or made[0] != columns.epoch or made[1] is not eligibility:
            made = columns.epoch, eligibility, Capacity(columns, eligibility)
            self._empty = made
        return made[2]

    def _over_caps(self, tree: TenantTree, pod: Pod, placement: Placement) -> Verdict | None:
        # What the pod has reserved already moves with it; it doesn't count twice.
        own = self._ledger.holdings.get(pod.uid)
        less = 0 if own is None else own.placement.milli
        held = {name: each.milli for name, each in self._ledger.held.items()}
        fixed = {name: each.fixed_milli for name, each in self._ledger.held.items()}
        return over_caps(
            tree,
            pod,
            placement.milli - less,
            held=tree.roll_up(held, 0),
            fixed=tree.roll_up(fixed, 0),
        )

    def _packer(self) -> Packer:
        mix = self._mix()
        if self._packed is None or self._packed[0] is not mix:
            self._packed = (mix, Packer(self._ledger.columns, self._policy, mix=mix))
        return self._packed[1]
