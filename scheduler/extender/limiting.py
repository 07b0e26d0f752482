"""A binder that adds to a Binding what the node needs to keep the pod to its share."""

from collections.abc import Callable, Collection, Mapping, Sequence

from scheduler.core.model import assignment, limitnotes
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.pods import PodRef
from scheduler.extender.binder import Binder


class LimitingBinder:
    """A Binder around another one: the annotations of core/model/limitnotes beside the assignment.

    `serves_of` says what a node serves, as its GPUNode does; `whole_of` whether a pod has its
    devices as a whole; `containers_of` which of its containers see them, () where that isn't known.
    """

    def __init__(
        self,
        binder: Binder,
        *,
        serves_of: Callable[[NodeName], Collection[str]],
        whole_of: Callable[[PodUID], bool],
        containers_of: Callable[[PodUID], Sequence[str]],
    ) -> None:
        self._binder, self._serves_of = binder, serves_of
        self._whole_of, self._containers_of = whole_of, containers_of

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        """Bind as the other one does, and raise what it raises."""
        placement = assignment.decode(annotations)
        if placement is not None:
            serves = self._serves_of(node)
            added = limitnotes.limits(
                placement,
                serves,
                whole=self._whole_of(pod.uid),
                containers=self._containers_of(pod.uid) if limitnotes.CDI in serves else (),
            )
            annotations = {**annotations, **added}
        await self._binder.bind(pod, node, annotations)
