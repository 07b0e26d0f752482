"""Why a pod that could run some time doesn't run now."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.amounts import MILLI, format_gpus
from scheduler.core.model.ids import TenantName
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.fit import candidates
from scheduler.core.packing.packer import Packer


class Explainer:
    """Tells "others were owed more" from "there is no room".

    `before` packs the cluster as it was when the round began, `after` is how it is now. Works each
    kind of request out once: thousands wait for the same reason.
    """

    def __init__(self, before: Packer, after: Columns) -> None:
        self._before = before
        self._after = after
        self._fits: dict[Request, bool] = {}
        self._lacking: dict[Request, Verdict] = {}
        room = np.maximum(after.room, 0)
        self._free = format_gpus(int(room.sum()))
        self._most = format_gpus(int(room.max(initial=0)))

    def why(
        self, leaf: TenantName, requests: Iterable[Request], *, due: Fraction, holds: int
    ) -> dict[Request, Verdict]:
        """Return verdicts on requests of one tenant: `due` GPUs are its share, it `holds` milli."""
        has, owed = format_gpus(holds), format_gpus(due * MILLI)
        turn = Verdict(
            Reason.WAITS_FOR_TURN,
            f"{leaf} has {has} of its due {owed} GPUs; wait, or raise its guarantee or weight",
        )
        return {
            request: turn if self._fitted(request) else self._no_room(request)
            for request in requests
        }

    def _fitted(self, request: Request) -> bool:
        if request not in self._fits:
            self._fits[request] = self._before.fits(request)
        return self._fits[request]

    def _no_room(self, request: Request) -> Verdict:
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
            what += "; ask for less or wait for pods to end"
        return f"it needs {request.describe()}; {what}"
