"""Why a pod that could run some time doesn't run now."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from scheduler.core.ledger.block import Bools, Ints, Rows
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.eligibility import Eligibility, Selector
from scheduler.core.model.amounts import MILLI, format_gpus
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Reservation
from scheduler.core.model.tenants import sharer, tenant_part, user_part
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.fit import candidates


class Explainer:
    """Tells "its tenant has its due" from "there is no room".

    `after` is how the cluster is now, `eligibility` what constraints leave of it; of what is free
    `kept_milli` is reserved for others, and taken there. Each kind of pod is worked out once:
    thousands wait for the same reason.
    """

    def __init__(
        self, after: Columns, eligibility: Eligibility | None = None, *, kept_milli: int = 0
    ) -> None:
        self.after, self._eligibility = after, eligibility or Eligibility()
        self._kept_milli = kept_milli
        self._lacking: dict[tuple[Request, Constraints], Verdict] = {}
        self._seen: dict[Request, tuple[Ints, Bools]] = {}

    def waits_for_turn(self, leaf: TenantName, *, due: Fraction, holds: int) -> Verdict:
        """Return the verdict on a tenant that has its due, GPUs, of which it `holds` milli."""
        who, whose = _who(leaf), _whose(leaf)
        if not due:
            return Verdict(
                Reason.WAITS_FOR_TURN,
                f"guarantees, priorities and weights leave nothing for {who} now, it lives on "
                f"what is idle; raise {whose} guarantee or weight",
            )
        return Verdict(
            Reason.WAITS_FOR_TURN,
            f"{who} has {format_gpus(holds)} of its due {format_gpus(due * MILLI)} GPUs; "
            f"wait, or raise {whose} guarantee or weight",
        )

    def over_budget(self, leaf: TenantName) -> Verdict:
        """Return the verdict on a tenant that has used up its budget, or that of one above it."""
        what = (
            f"nothing is left for {_who(leaf)} now; wait for the next period, or raise the budget"
        )
        return Verdict(Reason.OVER_BUDGET, what)

    def saves_up(self, leaf: TenantName, *, first: Pod) -> Verdict:
        """Return the verdict on a tenant that is owed nothing, and whose first pod waits long."""
        return Verdict(
            Reason.WAITS_FOR_TURN,
            f"{first.key} has waited for long, and nothing of {_who(leaf)} passes it until "
            f"the {'tenant' if leaf == tenant_part(leaf) else 'user'} is owed again",
        )

    def no_room(self, request: Request, constraints: Constraints = NO_CONSTRAINTS) -> Verdict:
        """Return the verdict on a pod that would start if there were room."""
        asked = request, constraints
        verdict = self._lacking.get(asked)
        if verdict is None:
            what = self._lacks(request, constraints)
            verdict = Verdict(Reason.NO_ROOM, f"it needs {request.describe()}; {what}")
            self._lacking[asked] = verdict
        return verdict

    def no_room_for_all(self, members: Sequence[Pod], kept: Sequence[Reservation]) -> Verdict:
        """Return the verdict on pods that start together, for some of which devices are kept."""
        what = _listed(members)
        if kept:
            cards, nodes = sum(len(each.devices) for each in kept), {each.node for each in kept}
            where = f"{cards} GPUs of {len(nodes)} nodes are kept for it as they drain"
            return Verdict(Reason.NO_ROOM, f"its gang takes {what} at once; {where}")
        seen = self._too_few(members[0].request, slice(None), "in all")
        return Verdict(Reason.NO_ROOM, f"its gang takes {what} at once; {seen}")

    def no_room_near(
        self, members: Sequence[Pod], level: str, domain: Selector, free: int
    ) -> Verdict:
        """Return the verdict on pods that have to be in one domain; that one has the most free."""
        what = f"its gang takes {_listed(members)} at once on nodes with the same {level}"
        if not domain:
            return Verdict(Reason.NO_ROOM, f"{what}, and no node has that label; label them")
        where = ", ".join(value for _, value in domain)
        return Verdict(
            Reason.NO_ROOM,
            f"{what}; none has room for all, in {where} most is free: {format_gpus(free)} GPUs; "
            "ask for a wider one or wait for pods to end",
        )

    def no_room_beside(self, members: Sequence[Pod], level: str, node: NodeName) -> Verdict:
        """Return the verdict on pods that have to be near one of their gang, which is there."""
        return Verdict(
            Reason.NO_ROOM,
            f"its gang takes {_listed(members)} more on nodes with the same {level} as {node}, "
            "where it is already, and there is too little free; wait for pods to end",
        )

    def drains(self, request: Request, reservation: Reservation) -> Verdict:
        """Return the verdict on a pod for which devices are kept."""
        *few, last = map(str, reservation.devices)
        cards = f"GPUs {', '.join(few)} and {last}" if few else f"GPU {last}"
        kept = "are kept for it as they drain" if few else "is kept for it as it drains"
        what = f"{cards} of {reservation.node} {kept}"
        return Verdict(Reason.NO_ROOM, f"it needs {request.describe()}; {what}")

    def _lacks(self, request: Request, constraints: Constraints) -> str:
        with_room, enough = self._look(request)
        rows = self._eligibility.now(constraints)
        if rows is not None and len(with_room):
            return self._excluded(constraints, with_room)
        among: Rows = slice(None) if rows is None else rows
        if not enough[among].any():
            where = "in all" if rows is None else "where it may go"
            return self._too_few(request, among, where)
        if (self.after.free_pods[among][enough[among]] >= 1).any():
            return "too little CPU or memory is free beside such GPUs; ask for less of it or wait"
        return "nodes with such GPUs run as many pods as they may; wait for pods to end"

    def _look(self, request: Request) -> tuple[Ints, Bools]:
        """Rows with room for the request, and whether each row [N] has enough such GPUs free."""
        found = self._seen.get(request)
        if found is None:
            seen = candidates(self.after, slice(None), request)
            enough = np.count_nonzero(seen.devices, axis=1) >= request.devices
            found = self._seen[request] = np.flatnonzero(seen.nodes), enough
        return found

    def _too_few(self, request: Request, among: Rows, where: str) -> str:
        room = np.maximum(self.after.room[among], 0)
        free, most = format_gpus(int(room.sum())), format_gpus(int(room.max(initial=0)))
        what = f"{free} GPUs are free {where}, at most {most} on one card"
        if request.memory_mib or self.after.memory_matters:
            mib = max(int(self.after.room_mib[among].max(initial=0)), 0)
            what += f", and at most {mib} MiB of a card's memory"
        if self._kept_milli:
            what += f"; {format_gpus(self._kept_milli)} more are kept for who has waited longer"
        return f"{what}; ask for less or wait for pods to end"

    def _excluded(self, constraints: Constraints, rows: Ints) -> str:
        """Say what keeps the pod off the rows that have room for it."""
        first = int(rows[0])
        why = self._eligibility.objection(constraints, first, passing=True)
        return (
            f"{len(rows)} nodes have room but are not for it, such as "
            f"{self.after.names[first]}, where {why}; change that or wait"
        )


def _who(leaf: TenantName) -> str:
    """Say whose turn it is; a user has no name but beside its tenant's."""
    if leaf == tenant_part(leaf):
        return leaf
    return sharer(leaf) if user_part(leaf) else f"who names no user of {sharer(leaf)}"


def _whose(leaf: TenantName) -> str:
    """Say of whom guarantee and weight are: users of a tenant have neither."""
    return "its" if leaf == tenant_part(leaf) else f"{tenant_part(leaf)}'s"


def _listed(members: Sequence[Pod]) -> str:
    counts = Counter(pod.request.describe() for pod in members)
    return " and ".join(f"{count} × {each}" for each, count in counts.items())
