"""Releases: pods with a place that are let go, until the watch shows them without our gate."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from scheduler.controller.backoffs import Backoffs
from scheduler.controller.outbox import Outbox
from scheduler.core.model.errors import NotLeading, ReleaseRefused
from scheduler.core.model.ids import PodUID
from scheduler.core.model.plans import Admit
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Verdict

log = logging.getLogger(__name__)


class Stage(Enum):
    """How far a release is."""

    READY = auto()  # not sent yet
    SENDING = auto()  # under way
    UNKNOWN = auto()  # sent, but nobody knows whether it is stored; it is sent again
    WRITTEN = auto()  # stored; the watch will tell


@dataclass(slots=True)
class Departure:
    """One release, begun at `since` (seconds). `news`: the pod, where it changed since.

    `waited_for`: what people were told that the pod waits for.
    """

    admit: Admit
    since: float
    waited_for: Verdict | None = None
    stage: Stage = Stage.READY
    news: Pod | None = None

    @property
    def pod(self) -> Pod:
        """The pod as it was seen last."""
        return self.news or self.admit.pod


Landed = Callable[[Departure, bool | ReleaseRefused], None]
"""Told what became of a release: written, or if it is still wanted, gone (False) or refused."""


class Departures:
    """Sends releases, in the order in which they were begun; `departures` says which are wanted."""

    def __init__(
        self,
        departures: MutableMapping[PodUID, Departure],
        release: Callable[[Admit], Awaitable[bool]],
        backoffs: Backoffs,
        *,
        width: int,
        now: Callable[[], float],
        landed: Landed,
    ) -> None:
        self._all, self._release, self._backoffs = departures, release, backoffs
        self._now, self._landed = now, landed
        self._outbox = Outbox(width, "release")

    def begin(self, admit: Admit, *, waited_for: Verdict | None) -> None:
        """Let a pod go; its place is reserved."""
        leaving = self._all[admit.pod.uid] = Departure(admit, self._now(), waited_for)
        self._outbox.put(partial(self._send, leaving))

    def begin_again(self) -> None:
        """Send again what has waited out its back-off."""
        now = self._now()
        for uid, leaving in self._all.items():
            if leaving.stage is Stage.UNKNOWN and not self._backoffs.holds(uid, now):
                leaving.stage = Stage.READY
                self._outbox.put(partial(self._send, leaving))

    async def idle(self) -> None:
        """Wait until none is under way."""
        await self._outbox.idle()

    async def aclose(self) -> None:
        """Send no more."""
        await self._outbox.aclose()

    async def _send(self, leaving: Departure) -> None:
        uid = leaving.admit.pod.uid
        # Since it was put in line the pod may have gone, changed or lost its gate.
        if self._all.get(uid) is not leaving or leaving.stage is not Stage.READY:
            return
        leaving.stage = Stage.SENDING
        outcome = await self._outcome(leaving.admit)
        wanted = self._all.get(uid) is leaving
        if outcome is True or (wanted and outcome is not None):
            leaving.stage = Stage.WRITTEN
            self._landed(leaving, outcome)
        elif wanted:
            leaving.stage = Stage.UNKNOWN
            self._backoffs.fail(uid, self._now())

    async def _outcome(self, admit: Admit) -> bool | ReleaseRefused | None:
        """What became of it; None if that isn't known."""
        try:
            return await self._release(admit)
        except ReleaseRefused as problem:
            return problem
        except NotLeading as problem:
            log.info("pod %s is not released: %s", admit.pod.key, problem)
        except Exception:
            # It may be stored all the same: the place stays, and it is sent again.
            log.exception("whether pod %s was released is not known", admit.pod.key)
        return None
