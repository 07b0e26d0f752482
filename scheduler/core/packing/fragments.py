"""How much of what is free can't serve what people ask for, and why.

FGD's definition (Weng et al., USENIX ATC'23): for a request drawn from the mix, the free milli-GPU
of each node that it can't use. What it would use, were it not for CPU, is CPU's; what it would not
use even then, though it may use the model, is the devices'.
"""

from itertools import accumulate, pairwise

import numpy as np

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.fragments import Fragments
from scheduler.core.packing.mix import Mix

_PLENTY = 2**40
"""Milli-CPU: more than anybody asks for."""


def fragments(columns: Columns, mix: Mix) -> Fragments:
    """Return it for the whole cluster; nothing as long as nobody asked for anything."""
    if not mix.total:
        return Fragments()
    rows, room = slice(None), np.maximum(columns.room, 0)
    whole, plenty = (room == columns.cap) & (room > 0), np.full_like(columns.free_cpu, _PLENTY)
    free = int(room.sum())
    usable = int(mix.usable(columns, rows, room, whole, columns.free_cpu).sum())
    were_it_not_for_cpu = int(mix.usable(columns, rows, room, whole, plenty).sum())
    allowed = int((room * mix.allowed(columns)[columns.model]).sum())
    wanted = free * sum(count for request, count in mix.weights if request.devices)
    causes = (
        allowed - were_it_not_for_cpu, were_it_not_for_cpu - usable,
        wanted - allowed, free * mix.total - wanted,
    )  # fmt: skip
    # Rounded one after the other, so that the parts add up to what is rounded as a whole.
    sums = [each // mix.total for each in accumulate(causes, initial=0)]
    return Fragments(*(after - before for before, after in pairwise(sums)))
