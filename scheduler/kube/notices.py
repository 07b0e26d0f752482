"""Tells people what becomes of their pods: a condition on the pod, and an Event."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from scheduler.clock import Clock
from scheduler.core.model.errors import EquipoiseError
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import PodRef
from scheduler.core.model.stored import Stored
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube import conditions
from scheduler.kube.api import Api
from scheduler.kube.client import JSON, Patch
from scheduler.kube.errors import NotFound
from scheduler.kube.events import event, events_path, regarding_pod
from scheduler.kube.resources import PODS

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
"""What changes again so soon isn't told: most pods are held for a round or two only."""

PER_SECOND = 50.0

WARNINGS = (
    Reason.INVALID_REQUEST,
    Reason.UNKNOWN_TENANT,
    Reason.TENANT_HAS_CHILDREN,
    Reason.NEVER_FITS,
)
"""Somebody has to change something, or the pod waits for ever."""


class Action(StrEnum):
    """What was done about a pod; a stable word. The first two are its condition as well."""

    HOLD = "Hold"
    RELEASE = "Release"
    EVICT = "Evict"
    WARN = "Warn"


ALARMS = (Action.EVICT, Action.WARN)


@dataclass(frozen=True, slots=True)
class _Notice:
    pod: PodRef
    verdict: Verdict
    action: Action
    due: float


class Notices:
    """Written in the background, `per_second` requests at most; of a pod the newest word counts.

    Nothing is written that the pod says already, nor of a pod that was never told that it waits
    when it is released. What can't be written is dropped: the reason is in metrics and page too.
    `pod_of` gives the JSON of a pod that isn't bound, `instance` is this replica's name.
    """

    def __init__(
        self,
        client: Api,
        *,
        pod_of: Callable[[PodUID], Stored | None],
        clock: Clock,
        instance: str,
        per_second: float = PER_SECOND,
    ) -> None:
        self._client, self._pod_of, self._clock = client, pod_of, clock
        self._instance, self._pause = instance[:128], 1.0 / per_second
        self._waiting: dict[PodUID, _Notice] = {}
        # Pods whose condition says, or may say, that they wait.
        self._held: set[PodUID] = set()
        self._news = asyncio.Event()
        self._failing = False

    def tell(self, pod: PodRef, verdict: Verdict, *, action: Action = Action.HOLD) -> None:
        """Have people told. Returns at once."""
        before = self._waiting.get(pod.uid)
        if action is Action.RELEASE and not self._says_that_it_waits(pod.uid):
            self._waiting.pop(pod.uid, None)
            return
        # A pod keeps its turn: one whose reason changes all the time is told of some time, too.
        due = self._clock.now() + SETTLE_SECONDS if before is None else before.due
        self._waiting[pod.uid] = _Notice(pod, verdict, action, due)
        self._news.set()

    def forget(self) -> None:
        """Drop what isn't written yet: another replica acts now."""
        self._waiting.clear()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._news.wait()
            while self._waiting:
                await self._next()
            self._news.clear()
            # Whoever is gone needs no word any more; bound ones were told when they were released.
            self._held = {uid for uid in self._held if self._pod_of(uid) is not None}

    async def _next(self) -> None:
        uid, notice = next(iter(self._waiting.items()))
        if (early := notice.due - self._clock.now()) > 0:
            await self._clock.sleep(early)
        newest = self._waiting.pop(uid, None)
        if newest is None:
            return
        try:
            await self._write(newest)
            self._failing = False
        except NotFound:
            log.debug("pod %s is gone", newest.pod.key)
        except EquipoiseError as problem:
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(level, "nobody was told about pod %s: %s", newest.pod.key, problem)
            self._failing = True

    async def _write(self, notice: _Notice) -> None:
        told = notice.action in (Action.HOLD, Action.RELEASE)
        if not told or await self._write_condition(notice):
            await self._post(notice)

    async def _write_condition(self, notice: _Notice) -> bool:
        """Write it unless it is there; whether it had to be written."""
        uid, stored = notice.pod.uid, self._pod_of(notice.pod.uid)
        hold = notice.action is Action.HOLD
        if hold and stored is None:
            return False
        before = conditions.find(stored, conditions.ADMITTED)
        wanted = conditions.admitted(notice.verdict, at=self._clock.now(), before=before)
        if conditions.says(before, wanted):
            return False
        # Before it is sent: whatever the answer is, it may be stored.
        (self._held.add if hold else self._held.discard)(uid)
        path = PODS.path(notice.pod.name, notice.pod.namespace, "status")
        body: JSON = {"metadata": {"uid": uid}, "status": {"conditions": [wanted]}}
        await self._client.patch(path, body, Patch.STRATEGIC, brief=True)
        await self._clock.sleep(self._pause)
        return True

    async def _post(self, notice: _Notice) -> None:
        body = event(
            regarding_pod(notice.pod),
            action=notice.action.value,
            reason=notice.verdict.reason.value,
            note=conditions.steady_sentence(notice.verdict),
            at=self._clock.now(),
            warning=notice.action in ALARMS or notice.verdict.reason in WARNINGS,
            instance=self._instance,
        )
        await self._client.post(events_path(body), body)
        await self._clock.sleep(self._pause)

    def _says_that_it_waits(self, uid: PodUID) -> bool:
        stored = conditions.find(self._pod_of(uid), conditions.ADMITTED)
        return uid in self._held or (stored is not None and stored.get("status") == "False")
