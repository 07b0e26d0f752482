"""Pods that hold more of a device's memory than they were promised: told of, then perhaps evicted.

Nothing is taken away from them here: whoever shares the card has the promise, not the pod that took
more. Memory limits (MPS, the driver's own) keep pods inside; this tells where they are missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from scheduler.agent.pods import Guest
from scheduler.agent.reading import Reading
from scheduler.core.model.ids import DeviceUUID, PodUID
from scheduler.core.model.pods import PodRef
from scheduler.device.driver import DeviceUsage
from scheduler.settings import Agent

EVICT_AGAIN_SECONDS = 60.0
"""An eviction that was refused, as disruption budgets do, is asked for again after so long."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a pod was promised of a device, and what its processes are measured to hold (MiB).

    What the driver can't say of a process counts as none, so that nobody is blamed for it.
    """

    pod: PodRef
    uuid: DeviceUUID
    promised_mib: int
    used_mib: int
    ending: bool = False


class Step(StrEnum):
    """What is done about a pod."""

    TELL = "tell"
    EVICT = "evict"


@dataclass(frozen=True, slots=True)
class Notice:
    """One step against a pod that holds too much of one device."""

    step: Step
    held: Held


@dataclass(frozen=True, slots=True)
class Episode:
    """A pod is over its promise on a device `since` then (seconds since the epoch).

    `fine_since`: when it was back inside, None while it is over. It ends after the same grace: a
    pod at the edge is told of once, not each time. `evicted`: when its eviction was asked for.
    """

    since: float
    fine_since: float | None = None
    told: bool = False
    evicted: float | None = None


Book = Mapping[tuple[PodUID, DeviceUUID], Episode]
"""Episodes that are open."""


def holdings(guests: Iterable[Guest], reading: Reading) -> tuple[Held, ...]:
    """Return what each pod holds of each device that it was given and that answers."""
    usage = {use.uuid: use for use in reading.usage}
    return tuple(
        Held(
            pod=guest.ref,
            uuid=slot.uuid,
            promised_mib=slot.memory_mib,
            used_mib=_used(guest.ref.uid, usage[slot.uuid], reading.owners),
            ending=guest.ending,
        )
        for guest in guests
        for slot in guest.slots
        if slot.uuid in usage
    )


def step(
    book: Book, held: Iterable[Held], *, now: float, settings: Agent
) -> tuple[Book, tuple[Notice, ...]]:
    """Return the book after this measurement, and what is to be done now."""
    after: dict[tuple[PodUID, DeviceUUID], Episode] = {}
    notices: list[Notice] = []
    for each in held:
        key = (each.pod.uid, each.uuid)
        over = each.used_mib > each.promised_mib + settings.tolerance_mib
        episode = _continued(book.get(key), over=over, now=now, settings=settings)
        if episode is None:
            continue
        if over and not each.ending:
            episode, found = _steps(episode, now=now, settings=settings)
            notices += [Notice(what, each) for what in found]
        after[key] = episode
    return after, tuple(notices)


def _used(uid: PodUID, use: DeviceUsage, owners: Mapping[int, PodUID]) -> int:
    mine = (each.used_mib or 0 for each in use.processes if owners.get(each.pid) == uid)
    return sum(mine)


def _continued(
    episode: Episode | None, *, over: bool, now: float, settings: Agent
) -> Episode | None:
    """The episode at this moment: begun, gone on, paused or ended."""
    if over:
        return Episode(now) if episode is None else replace(episode, fine_since=None)
    if episode is None:
        return None
    fine_since = now if episode.fine_since is None else episode.fine_since
    return (
        None
        if now - fine_since >= settings.grace_seconds
        else replace(episode, fine_since=fine_since)
    )


def _steps(episode: Episode, *, now: float, settings: Agent) -> tuple[Episode, list[Step]]:
    """What is due against a pod that is over its promise now."""
    lasted, found = now - episode.since, []
    if lasted >= settings.grace_seconds and not episode.told:
        found.append(Step.TELL)
        episode = replace(episode, told=True)
    limit = settings.evict_seconds
    again = episode.evicted is None or now - episode.evicted >= EVICT_AGAIN_SECONDS
    if limit is not None and lasted >= limit and again:
        found.append(Step.EVICT)
        episode = replace(episode, evicted=now)
    return episode, found
