"""Writes Bindings: one POST that stores the node and the assignment together."""

from collections.abc import Callable, Mapping

from scheduler.core.model import assignment
from scheduler.core.model.errors import AlreadyAssigned, BindRefused, EquipoiseError
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import PodRef
from scheduler.core.model.stored import mapping
from scheduler.kube.api import Api
from scheduler.kube.client import JSON
from scheduler.kube.errors import ApiError, Conflict, NotFound
from scheduler.kube.resources import PODS


class KubeBinder:
    """An `extender.binder.Binder`.

    `fence` raises, right before the request, if another replica may act by now.
    """

    def __init__(self, client: Api, fence: Callable[[], None]) -> None:
        self._client, self._fence = client, fence

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        """Bind the pod and store the annotations, in one write with its UID as precondition.

        Raises BindRefused where nothing was written and nothing will be, AlreadyAssigned where the
        pod is bound. Whatever else it raises leaves open whether it was stored: 500 is the answer
        to some bindings that are wrong, and to some that were stored.
        """
        # The API server stores them unchecked, and then takes no update of that pod any more.
        if assignment.size(annotations) > assignment.OURS_BYTES:
            raise BindRefused(f"its assignment takes more than {assignment.OURS_BYTES} bytes")
        try:
            self._fence()
        except EquipoiseError as problem:
            raise BindRefused(str(problem)) from None
        try:
            await self._client.post(
                PODS.path(pod.name, pod.namespace, "binding"), _binding(pod, node, annotations)
            )
        except Conflict as problem:
            raise await self._conflict(pod, problem) from None
        except ApiError as problem:
            if problem.status >= 500:
                raise
            raise BindRefused(problem.message or str(problem)) from None

    async def _conflict(self, pod: PodRef, problem: Conflict) -> BindRefused | AlreadyAssigned:
        """Look why: only the text of the answer says it, and texts change."""
        refused = BindRefused(problem.message or str(problem))
        try:
            found = await self._client.get(PODS.path(pod.name, pod.namespace))
        except NotFound:
            return refused
        metadata, node = mapping(found, "metadata"), mapping(found, "spec").get("nodeName")
        if metadata.get("uid") != pod.uid or not node:
            return refused
        return AlreadyAssigned(NodeName(str(node)), dict(mapping(metadata, "annotations")))


def _binding(pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "uid": pod.uid,
            "annotations": dict(annotations),
        },
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
