"""Why a pod that could run some time doesn't run now."""

from fractions import Fraction

import numpy as np

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI, format_gpus
from scheduler.core.model.ids import TenantName
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.fit import candidates


class Explainer:
    """Tells "its tenant has its due" from "there is no room".

    `after` is how the cluster is now. Works each kind of request out once: thousands wait for the
    same reason.
    """

    def __init__(self, after: Columns) -> None:
        self._after = after
        self._lacking: dict[Request, Verdict] = {}
        room = np.maximum(after.room, 0)
        self._free = format_gpus(int(room.sum()))
        self._most = format_gpus(int(room.max(initial=0)))

    def waits_for_turn(self, leaf: TenantName, *, due: Fraction, holds: int) -> Verdict:
        """Return the verdict on a tenant that has its due, GPUs, of which it `holds` milli."""
        if not due:
            return Verdict(
                Reason.WAITS_FOR_TURN,
                f"guarantees, priorities and weights leave nothing for {leaf} now, it lives on "
                "what is idle; raise its guarantee or weight",
            )
        return Verdict(
            Reason.WAITS_FOR_TURN,
            f"{leaf} has {format_gpus(holds)} of its due {format_gpus(due * MILLI)} GPUs; "
            "wait, or raise its guarantee or weight",
        )

    def no_room(self, request: Request) -> Verdict:
        """Return the verdict on a request that would start if there were room."""
        if request not in self._lacking:
            self._lacking[request] = Verdict(Reason.NO_ROOM, self._lacks(request))
        return self._lacking[request]

    def _lacks(self, request: Request) -> str:
        seen = candidates(self._after, slice(None), request)
        enough = np.count_nonzero(seen.devices, axis=1) >= request.devices
        if enough.any():
            what = "too little CPU or memory is free beside such GPUs; ask for less of it or wait"
        else:
            what = f"{self._free} GPUs are free in all, at most {self._most} on one card"
            if request.memory_mib or self._after.memory_matters:
                most = max(int(self._after.room_mib.max(initial=0)), 0)
                what += f", and at most {most} MiB of a card's memory"
            what += "; ask for less or wait for pods to end"
        return f"it needs {request.describe()}; {what}"
