"""Where the feed learns which gang a pod is of."""

from typing import Protocol

from scheduler.core.model.gangreader import gang_by_words
from scheduler.core.model.gangs import Gang
from scheduler.core.model.ids import PodUID
from scheduler.core.model.podreader import PodJSON


class GangSource(Protocol):
    """Knows gangs of pods, by their own words and by objects that they are of."""

    def gang_of(self, pod: PodJSON) -> Gang | None:
        """Return what a pod starts together with; None: with nothing. Raises InvalidRequest."""
        ...

    def gang(self, uid: PodUID) -> Gang | None:
        """Return the same for a pod that was noted to be of an object's gang."""
        ...

    def note(self, uid: PodUID, pod: PodJSON) -> None:
        """Have the object looked up that the pod's gang is by, if any, as long as it is there."""
        ...

    def forget(self, uid: PodUID) -> None:
        """A pod is gone."""
        ...


class ByWords:
    """Knows what pods say themselves."""

    def gang_of(self, pod: PodJSON) -> Gang | None:
        """Read the pod's annotations."""
        return gang_by_words(pod)

    def gang(self, uid: PodUID) -> None:
        """Return nothing: no object is known."""

    def note(self, uid: PodUID, pod: PodJSON) -> None:
        """Note nothing."""

    def forget(self, uid: PodUID) -> None:
        """Forget nothing."""
