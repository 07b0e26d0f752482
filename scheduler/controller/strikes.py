"""Owners one of whose pods was evicted: what they make since is spared, so that nothing loops."""

from collections import OrderedDict

from scheduler.core.model.ids import PodUID

OWNERS_KEPT = 10_000
"""So many owners are remembered; the oldest is forgotten first."""


class Strikes:
    """Remembers owners by the UID of a pod's controller, and which pods came after the strike.

    A pod that is spared is neither pinned nor evicted for its pin.
    """

    def __init__(self) -> None:
        self._struck: OrderedDict[str, None] = OrderedDict()
        self._spared: set[PodUID] = set()

    def strike(self, owner: str) -> None:
        """One of the owner's pods is evicted."""
        self._struck[owner] = None
        self._struck.move_to_end(owner)
        if len(self._struck) > OWNERS_KEPT:
            self._struck.popitem(last=False)

    def has_struck(self, owner: str) -> bool:
        """Whether what the owner makes is spared."""
        return owner in self._struck

    def meet(self, uid: PodUID, owner: str) -> None:
        """A pod is seen for the first time."""
        if self.has_struck(owner):
            self._spared.add(uid)

    def spare(self, uid: PodUID) -> None:
        """Spare a pod that was there before the strike, but isn't pinned yet."""
        self._spared.add(uid)

    def spares(self, uid: PodUID) -> bool:
        """Whether the pod is neither to be pinned nor to be evicted for its pin."""
        return uid in self._spared

    def forget(self, uid: PodUID) -> None:
        """The pod is bound or gone."""
        self._spared.discard(uid)
