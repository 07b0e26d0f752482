"""What the scheduler's part of a GPUNode's status says: what is held, and whether it takes pods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.standing import DeviceStanding
from scheduler.core.model.stored import Stored
from scheduler.kube.client import JSON
from scheduler.kube.conditions import condition, find

TAKES_PODS = "TakesPods"

FIELDS = ("allocatedMilli", "freeMilli")
"""All but the condition; the other fields are the agent's."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Milli-GPU of one node: held, and free on healthy devices."""

    allocated: int = 0
    free: int = 0


NOTHING = Totals()


def totals(devices: Iterable[DeviceStanding]) -> dict[NodeName, Totals]:
    """Sum up by node."""
    found: dict[NodeName, Totals] = {}
    for device in devices:
        held = sum(piece.milli for piece in device.slices)
        free = max(0, device.milli - held) if device.healthy else 0
        before = found.get(device.node, NOTHING)
        found[device.node] = Totals(before.allocated + held, before.free + free)
    return found


def why_closed(
    nodes: Mapping[NodeName, Node], closed: Mapping[NodeName, str]
) -> dict[NodeName, tuple[str, str]]:
    """Return, for each node that takes no pod, a stable word and a sentence.

    `closed`: nodes that are closed although they are up, and why; as `Ledger.closed`.
    """
    found: dict[NodeName, tuple[str, str]] = {}
    for name, node in nodes.items():
        if name in closed:
            found[name] = ("Closed", closed[name])
        elif not node.open:
            found[name] = ("Cordoned", "it is cordoned; uncordon it")
        elif not any(device.healthy for device in node.devices):
            found[name] = ("NoHealthyGPU", "it has no healthy GPU that is ours to hand out")
    return found


def gpunode_status(
    stored: Stored, sums: Totals, *, closed: tuple[str, str] | None, at: float
) -> JSON:
    """Return our part of the status at time `at`; `closed`: why it takes no pod, None for none."""
    reason, message = closed or ("Open", "")
    takes = condition(
        TAKES_PODS,
        holds=closed is None,
        reason=reason,
        message=message,
        at=at,
        before=find(stored, TAKES_PODS),
    )
    return {"allocatedMilli": sums.allocated, "freeMilli": sums.free, "conditions": [takes]}
