"""Pods on their way: their gate is off, and they have no node yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Journey:
    """A pod on its way, as the watch shows it.

    `nodes` are those that it was released to: `pinned` there, or else only nominated. () for one
    that was never behind our gate. `owner` is the UID of what would make it again, "" for nothing.
    `turned_down`: kube-scheduler has looked, and found no node that takes it.
    """

    pod: Pod
    nodes: tuple[NodeName, ...] = ()
    pinned: bool = False
    owner: str = ""
    turned_down: bool = False


@dataclass(slots=True)
class Trip:
    """A pod's, with times in seconds. `lost`: why it has no place, if that was looked for."""

    journey: Journey
    since: float
    turned_down_at: float | None = None
    lost: Verdict | None = None


class Journeys:
    """Who is on its way since when, and who is stuck."""

    def __init__(self) -> None:
        self._trips: dict[PodUID, Trip] = {}

    def __iter__(self) -> Iterator[Journey]:
        return (trip.journey for trip in self._trips.values())

    def __contains__(self, uid: object) -> bool:
        return uid in self._trips

    def see(self, journey: Journey, now: float) -> None:
        """A pod is on its way, still or from `now` on."""
        trip = self._trips.setdefault(journey.pod.uid, Trip(journey, now))
        trip.journey = journey
        if not journey.turned_down:
            trip.turned_down_at = None
        elif trip.turned_down_at is None:
            trip.turned_down_at = now

    def end(self, uid: PodUID) -> None:
        """The pod is bound or gone."""
        self._trips.pop(uid, None)

    def lose(self, uid: PodUID, why: Verdict) -> bool:
        """Note why a pod has no place; return whether that is news."""
        trip = self._trips.get(uid)
        if trip is None or (trip.lost is not None and trip.lost.reason == why.reason):
            return False
        trip.lost = why
        return True

    def trips(self) -> list[Trip]:
        """Return all that are on their way now; each goes on changing."""
        return list(self._trips.values())

    @property
    def untroubled(self) -> bool:
        """Whether each has its place, and none was turned down."""
        return not any(trip.lost or trip.turned_down_at for trip in self._trips.values())

    def stuck(self, moment: float) -> list[Journey]:
        """Return the pinned ones that were turned down at that time (seconds) or before.

        Not those that kube-scheduler hasn't looked at: it may have a long queue, or be away.
        """
        return [
            trip.journey
            for trip in self._trips.values()
            if trip.turned_down_at is not None
            and trip.turned_down_at <= moment
            and trip.journey.pinned
            and trip.journey.owner
        ]

    def homeless(self) -> list[Journey]:
        """Return those that were turned down and may go to any node still."""
        return [
            trip.journey
            for trip in self._trips.values()
            if trip.turned_down_at is not None and not trip.journey.pinned
        ]

    def wait_anew(self, now: float, uids: Iterable[PodUID] | None = None) -> None:
        """Let these, or all, be stuck no longer for now: they have another while."""
        for uid in self._trips if uids is None else uids:
            trip = self._trips.get(uid)
            if trip is not None and trip.turned_down_at is not None:
                trip.turned_down_at = now
