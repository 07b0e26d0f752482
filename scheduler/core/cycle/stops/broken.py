"""Broken: gangs that run with fewer members than they need, and for too long, are stopped.

What is left of them holds GPUs and does no work. Whoever made them makes them again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from scheduler.core.cycle.gangs import NOBODY, Present, size_of
from scheduler.core.cycle.rounds import Round
from scheduler.core.model.durations import format_duration
from scheduler.core.model.plans import Evict
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict


def broken(this: Round) -> None:
    """Note which gangs are whole and which have lost members; stop those whose patience is over.

    A gang is known to have lost some if it was whole once, or if one of them waits, or did.
    """
    starting = _by_gang(admit.pod for admit in this.admits)
    names = sorted(this.gangs.present.keys() | starting.keys())
    if not names:
        return
    known, waiting = this.snapshot.memory, _by_gang(this.pending)
    for name in names:
        there = this.gangs.present.get(name, NOBODY)
        pods = [*(each.pod for each in there.running), *waiting[name]]
        if not pods or not there.held + len(starting[name]):
            continue
        # As large as who runs knows it: one that is to grow still does its work.
        size = size_of(each.pod for each in there.running) or size_of(pods)
        missing = there.missing(size) - len(starting[name])
        was_whole = name in known.whole
        if was_whole or missing <= 0:
            this.whole.add(name)
        if missing > 0 and (was_whole or waiting[name] or name in known.broken):
            since = this.broken[name] = known.broken.get(name, this.now)
            late = this.now - since >= this.profile.broken_after
            if late and not _gets_help(this, name, waiting[name]):
                _stop(this, there, missing=missing, size=size)


def _by_gang(pods: Iterable[Pod]) -> defaultdict[str, list[Pod]]:
    found = defaultdict[str, list[Pod]](list)
    for pod in pods:
        if pod.gang is not None:
            found[pod.gang.name].append(pod)
    return found


def _gets_help(this: Round, name: str, waiting: Sequence[Pod]) -> bool:
    """Whether somebody is stopped for it already, or it is being moved itself."""
    if any(move.pod.gang is not None and move.pod.gang.name == name for move in this.moves):
        return True
    uids = {pod.uid for pod in waiting}
    if any(evict.taker is not None and evict.taker.uid in uids for evict in this.evicts):
        return True
    kept = [this.reservations[uid] for uid in uids if uid in this.reservations]
    clearing = {(each.node, index) for each in kept for index in each.devices}
    return bool(clearing) and any(
        each.ending and (each.placement.node, slot.index) in clearing
        for each in this.snapshot.running
        for slot in each.placement.slots
    )


def _stop(this: Round, there: Present, *, missing: int, size: int) -> None:
    stopped = {evict.pod.uid for evict in this.evicts}
    patience = format_duration(this.profile.broken_after)
    for each in there.running:
        if not each.ending and each.pod.uid not in stopped:
            verdict = Verdict(Reason.GANG_BROKEN, f"{missing} of {size} for {patience}")
            this.evicts.append(Evict(each.pod, None, verdict))
