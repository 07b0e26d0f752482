"""Ends pods by the API server: evictions, and deletions where a budget has had its time."""

import logging
from collections.abc import Awaitable, Callable

from scheduler.clock import Clock
from scheduler.core.model import names
from scheduler.core.model.ids import PodUID
from scheduler.core.model.podreader import gates_of
from scheduler.core.model.pods import Pod, PodRef
from scheduler.core.model.podstate import finished, owner_of
from scheduler.core.model.stored import Stored, mapping
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube.api import Ending
from scheduler.kube.client import JSON, Patch
from scheduler.kube.conditions import condition
from scheduler.kube.errors import Conflict, Forbidden, Invalid, NotFound, TooManyRequests
from scheduler.kube.eviction import deletion, eviction
from scheduler.kube.notices import Action, Notices
from scheduler.kube.release import preconditions
from scheduler.kube.resources import PODS, REPLICA_SETS

log = logging.getLogger(__name__)

REVISION = "deployment.kubernetes.io/revision"
"""Written by the Deployment controller on each ReplicaSet: the newest has the highest."""

REFUSALS = (TooManyRequests, Forbidden, Invalid)
"""By a disruption budget, or by a policy."""


class Endings:
    """The part of an `Applier` that has pods end.

    `pod_of` gives the JSON of a pod that isn't bound, as the watch showed it last; `fence` raises
    NotLeading right before a write that another replica may do by now. A pod that is stopped for
    another one may take `grace_seconds` to end.
    """

    def __init__(
        self,
        client: Ending,
        *,
        pod_of: Callable[[PodUID], Stored | None],
        notices: Notices,
        fence: Callable[[], None],
        clock: Clock,
        grace_seconds: float,
    ) -> None:
        self._client, self._pod_of, self._clock = client, pod_of, clock
        self._notices, self._fence = notices, fence
        self._grace_seconds = int(grace_seconds)

    async def evict(self, pod: Pod, why: Verdict) -> bool:
        """Evict the pod, so that its owner makes it again; whether it is going.

        False for a pod that nothing would make again, for one that changed a moment ago, and where
        a disruption budget or a policy says no. Whatever it raises leaves open whether it goes.
        """
        stored = self._pod_of(pod.uid) or await self._look(pod.ref)
        if stored is None:
            return True
        if not owner_of(stored):
            log.info("pod %s is not evicted: nothing would make it again", pod.key)
            return False
        # It may be bound by now, and then it need not go any more.
        return await self._end(pod, why, self._evict(pod.ref, stored), level=logging.WARNING)

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        """Evict a bound pod, or delete it past all disruption budgets; whether it is going.

        Its grace period is cut to ours. False where a budget or a policy says no. Whatever it
        raises leaves open whether it goes.
        """
        stored = await self._look(pod.ref)
        if stored is None or finished(stored):
            return True
        grace = _grace(stored, self._grace_seconds)
        if past_budgets:
            ending = self._delete(pod.ref, why, grace)
        else:
            ending = self._evict_bound(pod.ref, grace)
        # It is asked again and again.
        return await self._end(pod, why, ending, level=logging.INFO)

    async def make_way(self, running: Pod, waiting: Pod) -> bool:
        """Evict a pod if the other one is of a newer revision of its Deployment; whether it goes.

        Raises what `evict` does.
        """
        newer, older = await self._revision(waiting), await self._revision(running)
        if newer is None or older is None or newer[0] != older[0] or newer[1] <= older[1]:
            return False
        going, stored = await self._look(running.ref), self._pod_of(waiting.uid)
        if going is not None and "deletionTimestamp" in mapping(going, "metadata"):
            return False
        if stored is None or names.GATE not in gates_of(stored):
            # It got on meanwhile.
            return False
        return await self.evict(running, Verdict(Reason.MAKES_WAY, f"pod {waiting.key} waits"))

    async def _end(self, pod: Pod, why: Verdict, ending: Awaitable[None], *, level: int) -> bool:
        """Have it end, and people told; whether it is going."""
        try:
            await ending
        except REFUSALS as problem:
            log.log(level, "pod %s is not evicted: %s", pod.key, problem.message)
            return False
        except NotFound:
            return True
        except Conflict:
            return await self._look(pod.ref) is None
        self._notices.tell(pod.ref, why, action=Action.EVICT)
        return True

    async def _revision(self, pod: Pod) -> tuple[str, int] | None:
        """UID of the pod's Deployment and the number of its revision: a rollback gets a new one."""
        try:
            found = await self._client.get(REPLICA_SETS.path(pod.revision, pod.namespace))
        except NotFound:
            return None
        number = str(mapping(mapping(found, "metadata"), "annotations").get(REVISION, ""))
        deployment = owner_of(found)
        return (deployment, int(number)) if deployment and number.isdecimal() else None

    async def _delete(self, pod: PodRef, why: Verdict, grace: int | None) -> None:
        """Delete the pod, with the condition that an eviction sets: Jobs may forgive that one."""
        disrupted = condition(
            "DisruptionTarget",
            holds=True,
            reason=f"{why.reason}ByEquipoise",
            message=why.stable,
            at=self._clock.now(),
        )
        body: JSON = {"metadata": {"uid": pod.uid}, "status": {"conditions": [disrupted]}}
        path = PODS.path(pod.name, pod.namespace, "status")
        try:
            await self._patch(path, Patch.STRATEGIC, body)
        except (Forbidden, Invalid) as problem:
            log.warning("pod %s: its condition can't be written: %s", pod.name, problem.message)
        self._fence()
        await self._client.delete(*deletion(pod, grace_seconds=grace))

    async def _evict_bound(self, pod: PodRef, grace: int | None) -> None:
        self._fence()
        await self._client.post(*eviction(pod, {"uid": pod.uid}, grace_seconds=grace))

    async def _evict(self, pod: PodRef, stored: Stored) -> None:
        self._fence()
        await self._client.post(*eviction(pod, preconditions(stored)))

    async def _patch(self, path: str, kind: Patch, body: JSON) -> JSON:
        self._fence()
        return await self._client.patch(path, body, kind, brief=True)

    async def _look(self, pod: PodRef) -> Stored | None:
        """Read the pod from the API server; None if it is gone or another has its name."""
        try:
            found = await self._client.get(PODS.path(pod.name, pod.namespace))
        except NotFound:
            return None
        return found if mapping(found, "metadata").get("uid") == pod.uid else None


def _grace(pod: Stored, most: int) -> int | None:
    """Return what to cut the pod's grace period to (seconds); None if it is short enough.

    Never 0: then it would be gone from the API server, and its GPU free, while it runs.
    """
    asked = mapping(pod, "metadata").get("deletionGracePeriodSeconds")
    if asked is None:
        asked = mapping(pod, "spec").get("terminationGracePeriodSeconds", 30)
    return None if 0 < int(str(asked)) <= most else max(1, min(int(str(asked)), most))
