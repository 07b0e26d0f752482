"""Who is held, in few words: hundreds wait for the same reasons, and most of them as before.

`why` has the verdicts, `who` runs of holds in their order: [place in `why`, pods]. Pods are named
by UID, or by [first, end): places among those that the plan before held.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from scheduler.core.journal.codec import decode
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import PodUID
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict


def pack(holds: Sequence[Hold], before: Sequence[Hold]) -> dict[str, Any]:
    """Return the holds as JSON."""
    places = {hold.pod.uid: place for place, hold in enumerate(before)}
    why: dict[Verdict, int] = {}
    who = [
        [why.setdefault(verdict, len(why)), _pods(run, places)]
        for verdict, run in groupby(holds, key=lambda hold: hold.verdict)
    ]
    return {"why": [[each.reason.value, each.detail] for each in why], "who": who}


def unpack(
    packed: Mapping[str, Any], before: Sequence[Hold], pods: Mapping[PodUID, Pod]
) -> tuple[Hold, ...]:
    """Return the holds; raise InvalidInput if one is of a pod that isn't there."""
    why = [
        decode(Verdict, {"reason": reason, "detail": detail}) for reason, detail in packed["why"]
    ]
    return tuple(
        Hold(_known(uid, pods), why[place])
        for place, run in packed["who"]
        for uid in _uids(run, before)
    )


def _pods(run: Iterable[Hold], places: Mapping[PodUID, int]) -> list[Any]:
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


def _uids(run: Iterable[Any], before: Sequence[Hold]) -> Iterator[PodUID]:
    for each in run:
        if isinstance(each, str):
            yield PodUID(each)
        else:
            first, end = each
            for place in range(first, end):
                yield before[place].pod.uid


def _known(uid: PodUID, pods: Mapping[PodUID, Pod]) -> Pod:
    if uid not in pods:
        raise InvalidInput(f"it holds the pod {uid}, which isn't in line")
    return pods[uid]
