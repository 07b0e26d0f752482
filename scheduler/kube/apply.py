"""Carries a plan out on the API server: releases pods, says why they wait, evicts."""

import logging
from collections.abc import Callable, Mapping

from scheduler.clock import Clock
from scheduler.core.model import names
from scheduler.core.model.constraints import Term
from scheduler.core.model.errors import ReleaseRefused
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Admit, Hold
from scheduler.core.model.podreader import gates_of
from scheduler.core.model.pods import Pod, PodRef
from scheduler.core.model.podstate import owner_of, runs_no_more
from scheduler.core.model.stored import Stored, mapping
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube.api import Ending
from scheduler.kube.client import JSON, Patch
from scheduler.kube.conditions import condition
from scheduler.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, TooManyRequests
from scheduler.kube.eviction import deletion, eviction
from scheduler.kube.notices import Action, Notices
from scheduler.kube.release import (
    nominate_patch,
    preconditions,
    release_patch,
    ungate_patch,
)
from scheduler.kube.resources import PODS, REPLICA_SETS

log = logging.getLogger(__name__)

RELEASED = Verdict(Reason.RELEASED)

REVISION = "deployment.kubernetes.io/revision"
"""Written by the Deployment controller on each ReplicaSet: the newest has the highest."""


class KubeApplier:
    """A `controller.ports.Applier`.

    `pod_of` gives the JSON of a pod that isn't bound, as the watch showed it last; `nodes` are
    those that plans speak of; `fence` raises NotLeading right before a write that another replica
    may do by now. A pod that is stopped for another one may take `grace_seconds` to end.
    """

    def __init__(
        self,
        client: Ending,
        *,
        pod_of: Callable[[PodUID], Stored | None],
        nodes: Mapping[NodeName, Node],
        notices: Notices,
        fence: Callable[[], None],
        clock: Clock,
        grace_seconds: float,
    ) -> None:
        self._clock = clock
        self._client, self._pod_of, self._nodes = client, pod_of, nodes
        self._grace_seconds = int(grace_seconds)
        self._notices, self._fence = notices, fence

    async def release(self, admit: Admit) -> bool:
        """Take our gate off and pin the pod to its nodes; True too if that was done before.

        False: it is gone. Raises ReleaseRefused, or NotLeading, if it keeps its gate for now;
        whatever else it raises leaves open whether the pod was released.
        """
        ref = admit.pod.ref
        stored = self._pod_of(ref.uid) or await self._look(ref)
        try:
            released = await self._release(admit, stored)
        except Conflict:
            # Mostly it is a status that somebody wrote a moment ago.
            released = await self._release_again(admit, stored)
        if released:
            self._notices.tell(ref, RELEASED, action=Action.RELEASE)
        return released

    async def hold(self, hold: Hold) -> None:
        """Have people told why the pod waits."""
        self._notices.tell(hold.pod.ref, hold.verdict)

    async def warn(self, pod: Pod, verdict: Verdict) -> None:
        """Have people told what befell a pod that runs."""
        self._notices.tell(pod.ref, verdict, action=Action.WARN)

    async def remind(self, pod: Pod, node: NodeName) -> None:
        """Nominate the pod to the node anew, which is news to kube-scheduler."""
        stored = self._pod_of(pod.uid)
        if stored is None:
            return
        # What says so already would be no news.
        same = mapping(stored, "status").get("nominatedNodeName") == node
        path = f"{PODS.path(pod.name, pod.namespace)}/status"
        try:
            await self._patch(path, *nominate_patch(stored, NodeName("") if same else node))
        except (Conflict, NotFound):
            log.debug("pod %s got on meanwhile", pod.key)

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
        try:
            await self._evict(pod.ref, stored)
        except (TooManyRequests, Forbidden, Invalid) as problem:
            log.warning("pod %s is not evicted: %s", pod.key, problem.message)
            return False
        except NotFound:
            return True
        except Conflict:
            # It may be bound by now, and then it need not go any more.
            return await self._look(pod.ref) is None
        self._notices.tell(pod.ref, why, action=Action.EVICT)
        return True

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        """Evict a bound pod, or delete it past all disruption budgets; whether it is going.

        Its grace period is cut to ours. False where a budget or a policy says no. Whatever it
        raises leaves open whether it goes.
        """
        stored = await self._look(pod.ref)
        if stored is None:
            return True
        grace = _grace(stored, self._grace_seconds)
        try:
            if past_budgets:
                await self._delete(pod.ref, why, grace)
            else:
                self._fence()
                await self._client.post(*eviction(pod.ref, {"uid": pod.uid}, grace_seconds=grace))
        except (TooManyRequests, Forbidden, Invalid) as problem:
            log.info("pod %s is not stopped: %s", pod.key, problem.message)
            return False
        except NotFound:
            return True
        except Conflict:
            return await self._look(pod.ref) is None
        self._notices.tell(pod.ref, why, action=Action.EVICT)
        return True

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

    async def _revision(self, pod: Pod) -> tuple[str, int] | None:
        """UID of the pod's Deployment and the number of its revision: a rollback gets a new one."""
        try:
            found = await self._client.get(REPLICA_SETS.path(pod.revision, pod.namespace))
        except NotFound:
            return None
        number = str(mapping(mapping(found, "metadata"), "annotations").get(REVISION, ""))
        deployment = owner_of(found)
        return (deployment, int(number)) if deployment and number.isdecimal() else None

    async def _release(self, admit: Admit, stored: Stored | None) -> bool:
        if stored is None or runs_no_more(stored):
            return False
        if names.GATE not in gates_of(stored):
            return True
        try:
            await self._write(admit, stored)
        except NotFound:
            return False
        except Conflict:
            raise
        except ApiError as problem:
            # Below 500 it was refused, and nothing was stored.
            if problem.status >= 500:
                raise
            raise ReleaseRefused(problem.message or str(problem)) from None
        return True

    async def _release_again(self, admit: Admit, before: Stored | None) -> bool:
        fresh = await self._look(admit.pod.ref)
        if fresh is not None and names.GATE in gates_of(fresh) and not _alike(before, fresh):
            raise ReleaseRefused("it changed since its place was chosen")
        try:
            return await self._release(admit, fresh)
        except Conflict as problem:
            raise ReleaseRefused(problem.message or str(problem)) from None

    async def _write(self, admit: Admit, stored: Stored) -> None:
        ref = admit.pod.ref
        path = PODS.path(ref.name, ref.namespace)
        if admit.pod.pinnable:
            await self._patch(path, *release_patch(stored, admit.nodes, allow=self._allow))
            return
        nominated = await self._patch(f"{path}/status", *nominate_patch(stored, admit.nodes[0]))
        await self._patch(path, *ungate_patch(nominated))

    async def _patch(self, path: str, kind: Patch, body: JSON) -> JSON:
        self._fence()
        return await self._client.patch(path, body, kind, brief=True)

    async def _evict(self, pod: PodRef, stored: Stored) -> None:
        self._fence()
        await self._client.post(*eviction(pod, preconditions(stored)))

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
        await self._patch(path, Patch.STRATEGIC, body)
        self._fence()
        await self._client.delete(*deletion(pod, grace_seconds=grace))

    async def _look(self, pod: PodRef) -> Stored | None:
        """Read the pod from the API server; None if it is gone or another has its name."""
        try:
            found = await self._client.get(PODS.path(pod.name, pod.namespace))
        except NotFound:
            return None
        return found if mapping(found, "metadata").get("uid") == pod.uid else None

    def _allow(self, term: Term, name: NodeName) -> bool:
        node = self._nodes.get(name)
        return node is not None and term.holds(node.labels, name)


def _grace(pod: Stored, most: int) -> int | None:
    """Return what to cut the pod's grace period to (seconds); None if it is short enough.

    Never 0: then it would be gone from the API server, and its GPU free, while it runs.
    """
    asked = mapping(pod, "metadata").get("deletionGracePeriodSeconds")
    if asked is None:
        asked = mapping(pod, "spec").get("terminationGracePeriodSeconds", 30)
    return None if 0 < int(str(asked)) <= most else max(1, min(int(str(asked)), most))


def _alike(before: Stored | None, fresh: Stored) -> bool:
    """Whether all that the plan was made from is the same: only status and versions differ."""
    return before is not None and _meaning(before) == _meaning(fresh)


def _meaning(pod: Stored) -> tuple[object, ...]:
    metadata = mapping(pod, "metadata")
    described = (metadata.get(key) for key in ("labels", "annotations", "ownerReferences"))
    return (pod.get("spec"), *described)
