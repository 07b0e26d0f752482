"""A made-up workload with the shape of a production trace, for those who have no trace.

Kinds of nodes and requests stand to each other roughly as in the openb traces: most GPUs in large
nodes, some in small ones with little CPU beside them; about one pod in eight without a GPU, half
with a whole one, most others with a share. Every number here is invented.
"""

from dataclasses import dataclass
from itertools import pairwise
from random import Random

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.requests import Request
from scheduler.simulator.traces.trace import DEVICE_MEMORY_MIB, Trace, TracePod

NAME = "synthetic"
SEED = 2023
DEMAND_PERCENT = 98
"""How much of the cluster's GPUs the pods ask for in all, before the load is tuned."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of node: how many there are, and what each has."""

    count: int
    devices: int
    model: str
    cores: int
    ram_gib: int


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request and how often it comes. Cores are drawn from `cores`, both included.

    `milli` lists the shares of each device to draw from.
    """

    weight: int
    devices: int
    milli: tuple[int, ...]
    cores: tuple[int, int]
    models: tuple[str, ...] = ()


SHAPES = (
    Shape(55, 8, "A100", 96, 400),
    Shape(38, 2, "T4", 100, 500),
    Shape(10, 2, "P40", 18, 120),
    Shape(4, 8, "H100", 128, 800),
    Shape(3, 4, "V100", 32, 128),
    Shape(3, 8, "V100", 96, 800),
    Shape(3, 2, "P40", 64, 250),
    Shape(2, 1, "V100", 8, 32),
    Shape(2, 4, "T4", 96, 400),
)

KINDS = (
    Kind(130, 0, (0,), (8, 32)),
    Kind(350, 1, (MILLI,), (8, 16)),
    Kind(60, 1, (MILLI,), (2, 4)),
    Kind(60, 1, (MILLI,), (16, 24)),
    Kind(10, 1, (MILLI,), (6, 14), ("A100", "H100")),
    Kind(130, 1, (800,), (3, 3)),
    Kind(90, 1, (450, 480), (8, 12)),
    Kind(50, 1, (300, 350), (4, 8)),
    Kind(40, 1, (550, 600, 650), (6, 12)),
    Kind(40, 1, (100, 150, 200, 250), (2, 6)),
    Kind(2, 2, (MILLI,), (12, 24)),
    Kind(2, 4, (MILLI,), (24, 40)),
    Kind(5, 8, (MILLI,), (60, 88)),
)


def synthetic_trace() -> Trace:
    """Make up 120 nodes, and pods that ask for 98 % of their GPUs. Always the same."""
    nodes = _nodes()
    capacity = sum(device.milli for node in nodes for device in node.devices)
    return Trace(NAME, nodes, _pods(capacity * DEMAND_PERCENT // 100))


def _nodes() -> tuple[Node, ...]:
    nodes: list[Node] = []
    for shape in SHAPES:
        for _ in range(shape.count):
            name = f"node-{len(nodes):03d}"
            devices = tuple(
                Device(DeviceUUID(f"{name}/{index}"), shape.model, DEVICE_MEMORY_MIB)
                for index in range(shape.devices)
            )
            nodes.append(Node(NodeName(name), devices, shape.cores * 1000, shape.ram_gib * 1024))
    return tuple(nodes)


def _pods(target: int) -> tuple[TracePod, ...]:
    dice = Random(SEED)
    bounds = [0]
    for kind in KINDS:
        bounds.append(bounds[-1] + kind.weight)
    pods: list[TracePod] = []
    demand = 0
    while demand < target:
        drawn = dice.random() * bounds[-1]
        kind = next(
            kind
            for kind, (low, high) in zip(KINDS, pairwise(bounds), strict=True)
            if low <= drawn < high
        )
        request = _request(kind, dice)
        pods.append(TracePod(f"pod-{len(pods):04d}", request))
        demand += request.total_milli
    return tuple(pods)


def _request(kind: Kind, dice: Random) -> Request:
    low, high = kind.cores
    cores = low + int(dice.random() * (high - low + 1))
    return Request(
        devices=kind.devices,
        milli=kind.milli[int(dice.random() * len(kind.milli))],
        cpu_milli=cores * 1000,
        ram_mib=cores * (2 + int(dice.random() * 3)) * 1024,
        models=kind.models,
    )
