"""Who is held, in few words: hundreds wait for the same reason, and most of them as before.

Runs of holds with the same verdict become [reason, detail, who]; `who` names pods by UID, or by
[first, end), places in the list of the plan before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import PodUID
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict


def pack(holds: Sequence[Hold], before: Sequence[Hold]) -> list[list[Any]]:
    """Return the holds as JSON."""
    places = {hold.pod.uid: place for place, hold in enumerate(before)}
    return [
        [verdict.reason.value, verdict.detail, _who(run, places)]
        for verdict, run in groupby(holds, key=lambda hold: hold.verdict)
    ]


def unpack(
    packed: Sequence[Sequence[Any]], before: Sequence[Hold], pods: Mapping[PodUID, Pod]
) -> tuple[Hold, ...]:
    """Return the holds; raise InvalidInput if one is of a pod that isn't there."""
    return tuple(_unpacked(packed, before, pods))


def _unpacked(
    packed: Sequence[Sequence[Any]], before: Sequence[Hold], pods: Mapping[PodUID, Pod]
) -> Iterator[Hold]:
    for reason, detail, who in packed:
        verdict = Verdict(Reason(reason), detail)
        for uid in _uids(who, before):
            if uid not in pods:
                raise InvalidInput(f"it holds the pod {uid}, which isn't in line")
            yield Hold(pods[uid], verdict)


def _who(run: Iterable[Hold], places: Mapping[PodUID, int]) -> list[Any]:
    who: list[Any] = []
    for hold in run:
        place = places.get(hold.pod.uid)
        if place is None:
            who.append(hold.pod.uid)
        elif who and isinstance(who[-1], list) and who[-1][1] == place:
            who[-1][1] += 1
        else:
            who.append([place, place + 1])
    return who


def _uids(who: Iterable[Any], before: Sequence[Hold]) -> Iterator[PodUID]:
    for each in who:
        if isinstance(each, str):
            yield PodUID(each)
        else:
            first, end = each
            for place in range(first, end):
                yield before[place].pod.uid
