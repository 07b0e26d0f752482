"""Places of pods that are being moved: kept until they are made again, or for a while."""

from collections.abc import Mapping

from scheduler.core.cycle.allocation import NOTHING, Allocation
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Move

KEPT_SECONDS = 120.0
"""So long after it must have ended a pod is expected to be made again."""


def in_vain(work: Allocation) -> set[PodUID]:
    """Return for whom pods were to be moved that stay where they are: a budget said no, say."""
    snapshot = work.this.snapshot
    return {each.taker for each in snapshot.memory.moves if snapshot.stays(each.pod.uid)}


def keep_places(work: Allocation) -> None:
    """Keep everybody off the places of who is being moved."""
    work.this.moves += _still_under_way(work)
    for move in work.this.moves:
        work.trial.take(move.place, NOTHING)


def bring_back(work: Allocation) -> None:
    """Start those of them that are there again.

    Who is made again is known by its owner, and by asking for the same.
    """
    this = work.this
    if not this.moves:
        return
    reserved = {each.uid for each in this.snapshot.memory.reservations}
    left = {pod.uid: pod for pod, _ in this.in_line() if pod.uid not in reserved}
    again = dict[PodUID, Move]()
    for move in this.moves:
        pod = _found(move, left)
        if pod is not None:
            del left[pod.uid]
            again[pod.uid] = move
    firsts = {first.uid: first for pod, first in this.in_line() if pod.uid in again}
    for first in firsts.values():
        members = this.gangs.members(first)
        _start(work, first, {each.uid: again[each.uid] for each in members if each.uid in again})


def _still_under_way(work: Allocation) -> list[Move]:
    this = work.this
    patience = this.profile.ending_seconds + KEPT_SECONDS
    return [
        move
        for move in this.snapshot.memory.moves
        if move.place.node in work.trial.columns.row
        and this.now - move.since < patience
        and not this.snapshot.stays(move.pod.uid)
    ]


def _found(move: Move, waiting: Mapping[PodUID, Pod]) -> Pod | None:
    if move.pod.uid in waiting:
        return waiting[move.pod.uid]
    # Of one owner any will do: as many of them run as before.
    same = (
        pod
        for pod in waiting.values()
        if pod.owner == move.pod.owner != "" and pod.request == move.pod.request
    )
    return min(same, key=lambda pod: pod.turn, default=None)


def _start(work: Allocation, first: Pod, moves: Mapping[PodUID, Move]) -> None:
    """Start those that start together, where their places are kept; or go on keeping them.

    One that is over its tenant's limit now may be below it again once the old pod is gone.
    """
    this, members = work.this, work.this.gangs.members(first)
    if work.over_caps(first, this.counts(first)) is not None:
        return
    rows = {uid: work.trial.columns.row[move.place.node] for uid, move in moves.items()}
    with work.trial.attempt():
        for move in moves.values():
            work.trial.give(move.place, NOTHING)
        places = work.places_for(members, rows)
    if places is None:
        return
    for move in moves.values():
        work.trial.give(move.place, NOTHING)
        this.moves.remove(move)
    this.queues[first.tenant].remove(first)
    for pod, place in zip(members, places, strict=True):
        work.admit(pod, place)
    this.line_up_behind(first)
