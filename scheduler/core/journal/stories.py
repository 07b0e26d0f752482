"""The story of one pod, as a journal tells it: every change of what is known of it."""

from collections.abc import Iterable, Iterator, Mapping

from scheduler.core.journal.comparing import admission, described, stopped
from scheduler.core.journal.reading import Entry
from scheduler.core.ledger.holdings import Holding
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import sharer

Chapter = tuple[float, str]
"""When (seconds since the epoch), and what."""


def story(entries: Iterable[Entry], key: str) -> Iterator[Chapter]:
    """Tell of the pods of that namespace/name, one after the other: a name may come again.

    What hasn't changed since is told once: why it is held, as long as the reason is the same.
    """
    told: dict[tuple[PodUID, str], str] = {}
    there: set[PodUID] = set()
    for entry in entries:
        now, uids = entry.inputs.now, set[PodUID]()
        for uid, (chapter, word, text) in _seen(entry, key):
            uids.add(uid)
            if told.get((uid, chapter)) != word:
                told[uid, chapter] = word
                yield now, text
        for uid in sorted(there - uids):
            told = {about: word for about, word in told.items() if about[0] != uid}
            yield now, "gone"
        there = uids


Said = tuple[str, str, str]
"""What it is about, the word that tells whether it changed, and the sentence."""


def _seen(entry: Entry, key: str) -> Iterator[tuple[PodUID, Said]]:
    """What a round knew of the pod, then what it decided."""
    inputs, plan = entry.inputs, entry.plan
    for pod in _named(inputs.pending, key):
        what = f"in line: {pod.request.describe()}, {sharer(pod.tenant)}"
        yield pod.uid, ("line", what, what)
    for uid, holding in inputs.holdings.items():
        if holding.pod.key == key:
            place = _place(holding)
            yield uid, ("place", place, place)
    for hold in plan.holds:
        if hold.pod.key == key:
            why = f"held, {hold.verdict.reason}: {hold.verdict.sentence}"
            yield hold.pod.uid, ("decision", hold.verdict.reason, why)
    for admit in plan.admits:
        if admit.pod.key == key:
            yield admit.pod.uid, ("decision", admission(admit), admission(admit))
    for evict in plan.evicts:
        if evict.pod.key == key:
            why = f"{stopped(evict)}: {evict.verdict.sentence}"
            yield evict.pod.uid, ("decision", why, why)


def _named(pods: Mapping[PodUID, Pod], key: str) -> Iterator[Pod]:
    return (pod for pod in pods.values() if pod.key == key)


def _place(holding: Holding) -> str:
    state = "bound to" if holding.bound else "has a place reserved on"
    return f"{state} {described(holding.placement)}"
