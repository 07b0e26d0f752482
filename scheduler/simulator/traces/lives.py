"""When the pods of a trace came, and for how long they ran."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from scheduler.core.model.errors import InvalidInput
from scheduler.simulator.traces.synthetic import SEED
from scheduler.simulator.traces.tablefile import Row, read_rows
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.traces.tracefile import find_pods

_COLUMNS = ("name", "creation_time", "deletion_time")
_MEAN_GAP = 60.0
_SHORTEST, _LONGEST = 30.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Life:
    """When a pod came, and for how long it ran then; seconds."""

    came: float
    ran: float


Lives = Mapping[str, Life]
"""By the pod's name."""


def lives_of(trace: Trace) -> Lives:
    """Return the lives of the pods that ran.

    A pod ran from `scheduled_time`, where the table has that column, else from `creation_time`, to
    `deletion_time`. Raises InvalidFile where the table has no such times.
    """
    if trace.folder is None:
        return _made_up(trace)
    path = find_pods(Path(trace.folder), trace.name)
    if path is None:
        raise InvalidInput(f'{trace.folder}: the trace "{trace.name}" is gone; put it back')
    lives = {row.name("name"): _life(row) for row in read_rows(path, _COLUMNS)}
    return {name: life for name, life in lives.items() if life is not None and life.ran > 0}


def _life(row: Row) -> Life | None:
    came, gone = row.decimal("creation_time"), row.decimal("deletion_time")
    begin = came
    if "scheduled_time" in row.fields:
        if not row.text("scheduled_time"):
            return None
        begin = row.decimal("scheduled_time")
    if gone < begin:
        raise row.wrong("deletion_time lies before the pod ran; correct one of the times")
    return Life(came, gone - begin)


def _made_up(trace: Trace) -> Lives:
    """Invent lives for an invented trace: most pods run for minutes, some for hours."""
    dice, now, lives = Random(f"{SEED} lives"), 0.0, {}
    for pod in trace.pods:
        now += dice.expovariate(1 / _MEAN_GAP)
        ran = math.exp(dice.uniform(math.log(_SHORTEST), math.log(_LONGEST)))
        lives[pod.name] = Life(now, ran)
    return lives
