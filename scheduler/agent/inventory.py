"""Which devices the machine has, or had: one that vanishes is reported as lost, not left out.

The scheduler closes a lost device. One that is left out while a pod holds it closes its whole node,
for then nobody knows what that pod has.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import DeviceRecord

LOST = "lost: the driver doesn't list it any more"
GONE = "lost: the driver hasn't listed it since the machine was rebooted"


class Inventory:
    """Devices by UUID, since the machine booted; from before then only those that pods hold."""

    def __init__(self) -> None:
        self._known: dict[DeviceUUID, DeviceRecord] = {}
        self._former: dict[DeviceUUID, DeviceRecord] = {}

    def adopt(self, records: Iterable[DeviceRecord], *, same_boot: bool) -> None:
        """Take over what an earlier run of the agent knew."""
        for record in records:
            mine = self._known if same_boot and record.fault != GONE else self._former
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
        lost = [_broken(old, LOST) for uuid, old in self._known.items() if uuid not in listed]
        lost += [_broken(old, GONE) for old in self._former.values()]
        return tuple(sorted([*listed.values(), *lost], key=lambda record: record.index))

    def unanswered(self, why: str) -> tuple[DeviceRecord, ...]:
        """Return the same devices, none of them healthy: the driver as a whole doesn't answer."""
        everything = [*self._known.values(), *self._former.values()]
        silent = (_broken(record, why) for record in everything)
        return tuple(sorted(silent, key=lambda record: record.index))

    def _forget(self, held: Collection[DeviceUUID], *, cards: Collection[DeviceUUID]) -> None:
        self._former = {uuid: old for uuid, old in self._former.items() if uuid in held}
        self._known = {
            uuid: old
            for uuid, old in self._known.items()
            if uuid in held or (old.parent or uuid) not in cards
        }


def _broken(record: DeviceRecord, fault: str) -> DeviceRecord:
    return replace(record, healthy=False, fault=fault)
