"""Pods that run on a device which failed or vanished under them."""

from collections.abc import Iterable, Mapping

from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict


class Casualties:
    """Looks at the ledger's bound pods again where the health of devices has changed."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sound: dict[NodeName, frozenset[DeviceUUID]] = {}
        self._changed: set[NodeName] = set()
        self._hit: dict[PodUID, Verdict] = {}
        self._told: dict[PodUID, Verdict] = {}

    @property
    def hit(self) -> Mapping[PodUID, Verdict]:
        """Every pod that is hit, and by what."""
        self._look()
        return self._hit

    def report(self, nodes: Iterable[Node]) -> None:
        """Nodes were reported."""
        for node in nodes:
            sound = frozenset(device.uuid for device in node.devices if device.healthy)
            if self._sound.get(node.name) != sound:
                self._sound[node.name] = sound
                self._changed.add(node.name)

    def drop(self, name: NodeName) -> None:
        """A node is gone, with all that ran there: that is told by others."""
        self._sound.pop(name, None)
        self._changed.add(name)

    def bound(self, uid: PodUID) -> None:
        """A pod was bound."""
        holding = self._ledger.holdings.get(uid)
        if holding is not None:
            self._judge(uid, holding)

    def gone(self, uid: PodUID) -> None:
        """A pod is gone."""
        self._hit.pop(uid, None)
        self._told.pop(uid, None)

    def news(self) -> list[tuple[Pod, Verdict]]:
        """Return pods that were hit, or hit by something else, since this was asked last."""
        self._look()
        fresh = {uid: why for uid, why in self._hit.items() if self._told.get(uid) != why}
        self._told = dict(self._hit)
        return [(self._ledger.holdings[uid].pod, why) for uid, why in fresh.items()]

    def _look(self) -> None:
        if not self._changed:
            return
        for uid, holding in self._ledger.holdings.items():
            if holding.placement.node in self._changed:
                self._judge(uid, holding)
        self._changed.clear()

    def _judge(self, uid: PodUID, holding: Holding) -> None:
        name, sound = holding.placement.node, self._sound.get(holding.placement.node)
        lost: list[DeviceUUID] = []
        if holding.bound and sound is not None:
            lost = [slot.uuid for slot in holding.placement.slots if slot.uuid not in sound]
        if lost:
            self._hit[uid] = Verdict(
                Reason.DEVICE_LOST,
                f"{', '.join(lost)} on node {name}; delete the pod to have it made again elsewhere",
            )
        else:
            self._hit.pop(uid, None)
