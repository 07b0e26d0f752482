"""The pods of this node that hold devices, kept by a watch."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.model import assignment
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID
from scheduler.core.model.placements import Slot
from scheduler.core.model.pods import PodRef
from scheduler.core.model.podstate import finished
from scheduler.core.model.stored import Stored, mapping

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Guest:
    """A pod that holds devices here. `ending`: it was asked to go."""

    ref: PodRef
    slots: tuple[Slot, ...]
    ending: bool = False


class Guests:
    """Guests by UID; the sink of a watch on the pods of `node`.

    `listed` is False until they are known: who asks earlier would take them for strangers.
    """

    def __init__(self, node: NodeName) -> None:
        self._node = node
        self._guests: dict[PodUID, Guest] = {}
        self._unreadable: set[PodUID] = set()
        self.listed = False

    @property
    def by_uid(self) -> Mapping[PodUID, Guest]:
        """All of them."""
        return self._guests

    def held(self) -> frozenset[DeviceUUID] | None:
        """Return the devices that somebody holds; None while the pods aren't known."""
        if not self.listed:
            return None
        return frozenset(slot.uuid for guest in self._guests.values() for slot in guest.slots)

    def replace(self, items: Sequence[Stored]) -> None:
        """Take note of all pods of this node; all others are gone."""
        self._guests.clear()
        for pod in items:
            self.see("ADDED", pod)
        self.listed = True

    def see(self, event: str, item: Stored) -> None:
        """Take note of a pod. `event` is ADDED, MODIFIED or DELETED."""
        uid = PodUID(str(mapping(item, "metadata").get("uid")))
        guest = None if event == "DELETED" else self._read(uid, item)
        if guest is None:
            self._guests.pop(uid, None)
        else:
            self._guests[uid] = guest

    def _read(self, uid: PodUID, pod: Stored) -> Guest | None:
        metadata = mapping(pod, "metadata")
        if finished(pod):
            return None
        try:
            placement = assignment.decode(mapping(metadata, "annotations"))
        except InvalidInput as problem:
            # The scheduler closes the node for it, and says so; here it is only worth a line.
            if uid not in self._unreadable:
                log.warning(
                    "pod %s/%s: %s", metadata.get("namespace"), metadata.get("name"), problem
                )
            self._unreadable.add(uid)
            return None
        if placement is None or placement.node != self._node:
            return None
        ref = PodRef(str(metadata.get("namespace")), str(metadata.get("name")), uid)
        return Guest(ref, placement.slots, ending=bool(metadata.get("deletionTimestamp")))
