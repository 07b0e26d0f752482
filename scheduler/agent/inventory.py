"""Which devices the machine has, or had: one that vanishes is reported as lost, not left out.

The scheduler closes a lost device. One that is left out while a pod holds it closes its whole node,
for then nobody knows what that pod has.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import DeviceRecord

LOST = "lost: the driver doesn't list it any more"


class Inventory:
    """Devices by UUID, since the machine booted; from before then only those that pods hold."""

    def __init__(self) -> None:
        self._known: dict[DeviceUUID, DeviceRecord] = {}
        self._former: dict[DeviceUUID, DeviceRecord] = {}

    def adopt(self, records: Iterable[DeviceRecord], *, same_boot: bool) -> None:
        """Take over what an earlier run of the agent knew."""
        mine = self._known if same_boot else self._former
        for record in records:
            mine.setdefault(record.uuid, record)

    def update(
        self, records: Iterable[DeviceRecord], *, held: Collection[DeviceUUID] | None
    ) -> tuple[DeviceRecord, ...]:
        """Return what the driver lists now and what is lost, in the order of their cards.

        `held` are the devices that pods of this node hold, None where that isn't known yet. A card
        that MIG cuts anew has other UUIDs then: the old ones are lost only to pods that still hold
        them. Left out is a card that doesn't tell its UUID: no pod can be given it.
        """
        listed = {record.uuid: record for record in records if record.uuid}
        if held is not None:
            self._forget(held, cards={each.parent or each.uuid for each in listed.values()})
        self._known |= listed
        self._former = {uuid: old for uuid, old in self._former.items() if uuid not in listed}
        gone = [record for uuid, record in self._all() if uuid not in listed]
        lost = [replace(record, healthy=False, fault=LOST) for record in gone]
        return tuple(sorted([*listed.values(), *lost], key=lambda record: record.index))

    def unanswered(self, why: str) -> tuple[DeviceRecord, ...]:
        """Return the same devices, none of them healthy: the driver as a whole doesn't answer."""
        silent = (replace(record, healthy=False, fault=why) for _, record in self._all())
        return tuple(sorted(silent, key=lambda record: record.index))

    def _forget(self, held: Collection[DeviceUUID], *, cards: Collection[DeviceUUID]) -> None:
        self._former = {uuid: old for uuid, old in self._former.items() if uuid in held}
        self._known = {
            uuid: old
            for uuid, old in self._known.items()
            if uuid in held or (old.parent or uuid) not in cards
        }

    def _all(self) -> list[tuple[DeviceUUID, DeviceRecord]]:
        return [*self._known.items(), *self._former.items()]
