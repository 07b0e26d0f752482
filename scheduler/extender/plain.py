"""Pods without a GPU request that filter let pass.

A bind brings only names, so they are remembered; a pod that isn't known must be filtered first.
"""

from collections import OrderedDict

from scheduler.core.model.ids import PodUID

KEPT = 10_000
"""Far more than are on their way at once; whoever is forgotten is filtered again."""


class PlainPods:
    """The latest of them: namespace/name by UID."""

    def __init__(self) -> None:
        self._keys: OrderedDict[PodUID, str] = OrderedDict()

    def add(self, uid: PodUID, key: str) -> None:
        """Remember one."""
        self._keys[uid] = key
        self._keys.move_to_end(uid)
        if len(self._keys) > KEPT:
            self._keys.popitem(last=False)

    def get(self, uid: PodUID) -> str | None:
        """Return its namespace/name, None for an unknown one."""
        return self._keys.get(uid)
