"""What the machines of each owner come to: the devices that are there, and could take pods now."""

from collections.abc import Collection

from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.tenants import Brought


class Contributions:
    """Nodes that have an owner, whether that is a tenant or not."""

    def __init__(self) -> None:
        # Milli-GPU that count, that are ill, and that are away.
        self._nodes: dict[NodeName, tuple[TenantName, int, int, int]] = {}

    def put(self, node: Node) -> None:
        """A node is there, or described anew."""
        if node.owner is not None:
            self._nodes[node.name] = (node.owner, *_parts(node))
        else:
            self.drop(node.name)

    def drop(self, name: NodeName) -> None:
        """A node is gone."""
        self._nodes.pop(name, None)

    def brought(self, closed: Collection[NodeName]) -> dict[TenantName, Brought]:
        """Return what each owner brought; nodes that are `closed` count as those that are cordoned.

        A device counts while it is healthy and its node is open and answers. So what counts is
        never more than what there is to share, and guarantees that are nothing else can always be
        kept.
        """
        sums: dict[TenantName, list[int]] = {}
        for name, (owner, counted, ill, away) in self._nodes.items():
            known = sums.setdefault(owner, [0, 0, 0])
            known[2 if name in closed else 0] += counted
            known[1] += ill
            known[2] += away
        return {owner: Brought(*known) for owner, known in sums.items()}


def _parts(node: Node) -> tuple[int, int, int]:
    sound = sum(device.milli for device in node.devices if device.healthy)
    ill = sum(device.milli for device in node.devices) - sound
    return (sound, ill, 0) if node.open and not node.silent else (0, ill, sound)
