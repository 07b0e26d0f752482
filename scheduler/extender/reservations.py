"""Reservations of pods on their way, and how long they last.

Only what filter booked by itself has a time limit; a release's reservation lasts until its pod is
bound or gone. While a Binding is being written, and as long as its outcome is unknown, a
reservation neither ends nor moves: the write may be stored already.
"""

from dataclasses import dataclass, replace

from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment
from scheduler.core.model.errors import AlreadyAssigned, InvalidInput
from scheduler.core.model.ids import PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod


@dataclass(frozen=True, slots=True)
class _Pin:
    """`limited`: it had a time limit before. `until`: None while the Binding is being written."""

    limited: bool
    until: float | None = None


class Reservations:
    """The extender's side of the ledger. `seconds` is the time limit of what filter books."""

    def __init__(self, ledger: Ledger, seconds: float) -> None:
        self._ledger, self._seconds = ledger, seconds
        self._pins: dict[PodUID, _Pin] = {}

    def get(self, uid: PodUID) -> Holding | None:
        """What the pod holds, reserved or bound."""
        return self._ledger.holdings.get(uid)

    def pinned(self, uid: PodUID) -> bool:
        """Whether its place is in a Binding whose outcome isn't known."""
        return uid in self._pins

    def stands(self, holding: Holding) -> bool:
        """Whether its place can still be used: nothing on it is shut or sold to somebody else."""
        columns, placement = self._ledger.columns, holding.placement
        row = columns.row.get(placement.node)
        if row is None or placement.node not in self._ledger.nodes:
            return False
        if min(columns.free_cpu[row], columns.free_ram[row], columns.free_pods[row]) < 0:
            return False
        uuids = columns.uuids[row]
        return all(
            slot.index < len(uuids)
            and uuids[slot.index] == slot.uuid
            and columns.room[row, slot.index] >= 0
            and columns.room_mib[row, slot.index] >= 0
            for slot in placement.slots
        )

    def expire(self, now: float) -> None:
        """End what is over."""
        self._ledger.expire(now)
        over = [u for u, pin in self._pins.items() if pin.until is not None and pin.until <= now]
        for uid in over:
            if self._pins.pop(uid).limited:
                self._give_up(uid)

    def book(self, pod: Pod, placement: Placement, now: float) -> None:
        """Reserve, or move the reservation; raise LedgerError, and then nothing has changed."""
        before = self.get(pod.uid)
        limited = before is None or before.expires is not None
        expires = now + self._seconds if limited else None
        self._ledger.reserve(pod, placement, expires=expires)

    def prolong(self, holding: Holding, now: float) -> None:
        """Start its time limit anew if less than half of it is left: its pod is on its way."""
        if holding.expires is not None and holding.expires - now < self._seconds / 2:
            self.book(holding.pod, holding.placement, now)

    def pin(self, holding: Holding) -> None:
        """Keep it while a Binding is being written; raise LedgerError if it can't be used."""
        uid, earlier = holding.pod.uid, self._pins.get(holding.pod.uid)
        if earlier is None:
            self._ledger.reserve(holding.pod, holding.placement, expires=None)
        limited = holding.expires is not None if earlier is None else earlier.limited
        self._pins[uid] = _Pin(limited)

    def bound(self, holding: Holding) -> None:
        """Book that the Binding is stored.

        Where the ledger has lost the pod meanwhile, the watch has told that it is gone.
        """
        uid = holding.pod.uid
        self._pins.pop(uid, None)
        if uid in self._ledger.holdings:
            self._ledger.bind(holding.pod, holding.placement)

    def refused(self, holding: Holding) -> None:
        """Book that nothing was bound: the place is free again."""
        self._pins.pop(holding.pod.uid, None)
        self._give_up(holding.pod.uid)

    def elsewhere(self, holding: Holding, found: AlreadyAssigned, now: float) -> bool:
        """Book that somebody bound it before; whether it was at the very same place."""
        uid = holding.pod.uid
        try:
            placement = assignment.decode(found.annotations) or Placement(found.node)
        except InvalidInput:
            placement = None
        if placement is None or placement.node != found.node:
            # What can't be understood frees nothing; the watch closes its node.
            return self.unknown(holding, now)
        self._pins.pop(uid, None)
        if holding.placement.slots and not placement.slots:
            # Bound by somebody else, without an assignment: it sees no GPU and holds none.
            self._give_up(uid)
        elif uid in self._ledger.holdings:
            self._ledger.bind(holding.pod, placement)
        return _sorted(placement) == _sorted(holding.placement)

    def unknown(self, holding: Holding, now: float) -> bool:
        """Book that nobody knows yet; whether the watch has told that it is bound there."""
        uid, current = holding.pod.uid, self.get(holding.pod.uid)
        pin = self._pins.pop(uid, None)
        if current is None or current.bound:
            return current is not None and current.placement == holding.placement
        if pin is not None:
            self._pins[uid] = _Pin(pin.limited, until=now + self._seconds)
        return False

    def _give_up(self, uid: PodUID) -> None:
        holding = self.get(uid)
        if holding is not None and not holding.bound:
            self._ledger.release(uid)


def _sorted(placement: Placement) -> Placement:
    return replace(placement, slots=tuple(sorted(placement.slots, key=lambda slot: slot.index)))
