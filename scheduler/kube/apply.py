"""Carries a plan out on the API server: releases pods, says why they wait, ends some."""

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
from scheduler.core.model.pods import Pod
from scheduler.core.model.podstate import runs_no_more
from scheduler.core.model.stored import Stored, mapping
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube.api import Ending
from scheduler.kube.endings import Endings
from scheduler.kube.errors import ApiError, Conflict, NotFound
from scheduler.kube.notices import Action, Notices
from scheduler.kube.release import nominate_patch, release_patch, ungate_patch
from scheduler.kube.resources import PODS

log = logging.getLogger(__name__)

RELEASED = Verdict(Reason.RELEASED)


class KubeApplier(Endings):
    """A `controller.ports.Applier`; `nodes` are those that plans speak of."""

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
        super().__init__(
            client,
            pod_of=pod_of,
            notices=notices,
            fence=fence,
            clock=clock,
            grace_seconds=grace_seconds,
        )
        self._nodes = nodes

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

    def _allow(self, term: Term, name: NodeName) -> bool:
        node = self._nodes.get(name)
        return node is not None and term.holds(node.labels, name)


def _alike(before: Stored | None, fresh: Stored) -> bool:
    """Whether all that the plan was made from is the same: only status and versions differ."""
    return before is not None and _meaning(before) == _meaning(fresh)


def _meaning(pod: Stored) -> tuple[object, ...]:
    metadata = mapping(pod, "metadata")
    described = (metadata.get(key) for key in ("labels", "annotations", "ownerReferences"))
    return (pod.get("spec"), *described)
