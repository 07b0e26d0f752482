"""Small builders for nodes, devices, requests, pods and tenants, and random ones of each.

Names come first, amounts by keyword; what a test doesn't care about has a plain default.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.constraints import Constraints, Requirement, Taint, Term, Toleration
from scheduler.core.model.gangs import Gang, Topology
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.nodes import MANY_PODS, Device, Node
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.model.tenants import Tenant

MEMORY_OF = {"T4": 16_000, "A10": 24_001, "A100": 81_920, "mig-1g": 10_000}
"""MiB; one of them odd, so that a fraction of it has a remainder."""

MIG_MILLI = 142


def device(uuid: str, model: str = "T4", **changes: Any) -> Device:
    plain = Device(DeviceUUID(uuid), model, MEMORY_OF.get(model, 16_000))
    if model.startswith("mig"):
        plain = replace(plain, milli=MIG_MILLI, mig=True)
    return replace(plain, **changes)


def node(
    name: str, devices: int | Iterable[Device] = 2, *, model: str = "T4", **changes: Any
) -> Node:
    """Return a node with so many like devices, named "node/index", or with the given ones."""
    if isinstance(devices, int):
        devices = [device(f"{name}/{index}", model) for index in range(devices)]
    return replace(Node(NodeName(name), tuple(devices), 64_000, 256_000), **changes)


def share(milli: int, devices: int = 1, **changes: Any) -> Request:
    return replace(Request(devices, milli), **changes)


def whole(devices: int = 1, **changes: Any) -> Request:
    return replace(Request(devices, 1000), **changes)


def by_memory(memory_mib: int, devices: int = 1, **changes: Any) -> Request:
    return replace(Request(devices, 0, memory_mib), **changes)


def cpu_only(cpu_milli: int = 1000) -> Request:
    return Request(cpu_milli=cpu_milli)


def pod(name: str, request: Request | int = 500, tenant: str = "a", **changes: Any) -> Pod:
    """Return a pod whose UID is its name; a plain number asks for that share of one GPU."""
    asked = share(request) if isinstance(request, int) else request
    return replace(Pod(PodUID(name), "lab", name, TenantName(tenant), asked), **changes)


def only(*, tolerations: Iterable[Toleration] = (), **labels: str) -> Constraints:
    """Return constraints that ask for these labels by nodeSelector."""
    return Constraints(tuple(sorted(labels.items())), tolerations=tuple(tolerations))


def affine(*terms: Term) -> Constraints:
    """Return constraints of a pod with these terms in its required node affinity."""
    return Constraints(terms=(terms,))


def line(key: str, operator: str, *values: str) -> Requirement:
    return Requirement(key, operator, values)


def tenant(name: str, parent: str | None = None, **amounts: Any) -> Tenant:
    """Return a tenant; amounts in GPUs as whole numbers, fractions or texts such as "1/2"."""
    exact: dict[str, Any] = {
        key: Fraction(amounts.pop(key))
        for key in ("guarantee", "weight", "limit")
        if amounts.get(key) is not None
    }
    above = None if parent is None else TenantName(parent)
    return Tenant(TenantName(name), above, **exact, **amounts)


def place(name: str, *slots: tuple[int, int, int], uuids: str | None = None) -> Placement:
    """Return a placement from (index, milli, MiB) of devices that are named as `node` does."""
    return Placement(
        NodeName(name),
        tuple(Slot(i, DeviceUUID(f"{uuids or name}/{i}"), milli, mib) for i, milli, mib in slots),
    )


def described(columns: Columns) -> dict[str, dict[str, Any]]:
    """Return every number of the columns by node and device, whatever rows they stand in."""
    rows = {}
    for name, row in columns.row.items():
        devices = len(columns.uuids[row])
        rows[str(name)] = {
            "cpu": int(columns.free_cpu[row]),
            "ram": int(columns.free_ram[row]),
            "pods": int(columns.free_pods[row]),
            "hosted": columns.hosted[row].tolist(),
            "uuids": columns.uuids[row],
            "models": [columns.models[at] for at in columns.model[row, :devices]],
            **{
                key: getattr(columns, key)[row, :devices].tolist()
                for key in ("cap", "free", "room", "mib_cap", "free_mib", "room_mib", "shut")
            },
        }
        assert not np.any(columns.cap[row, devices:])
        assert np.all(columns.room[row, devices:] == -1)
    return rows


# ------------------------------------------------------------------------------- random ones

MODELS = st.sampled_from(["T4", "T4", "A10", "A100", "mig-1g"])


def devices(uuid: str) -> st.SearchStrategy[Device]:
    """Return devices of that UUID: sometimes ill, with strangers on them, or busy."""
    return st.builds(
        device,
        st.just(uuid),
        MODELS,
        healthy=st.sampled_from([True, True, True, False]),
        foreign_mib=st.sampled_from([0, 0, 0, 4_000, 16_000]),
        load=st.sampled_from([0, 0, 300, 1000]),
        link=st.sampled_from([0, 0, 0, 1, 7]),
    )


@st.composite
def nodes(draw: st.DrawFn, name: str, *, most: int = 4) -> Node:
    """Return a node of that name; models differ from device to device."""
    count = draw(st.integers(0, most))
    return node(
        name,
        [draw(devices(f"{name}/{index}")) for index in range(count)],
        cpu_milli=draw(st.sampled_from([4_000, 64_000])),
        ram_mib=draw(st.sampled_from([8_000, 256_000])),
        open=draw(st.sampled_from([True, True, True, False])),
        pods=draw(st.sampled_from([MANY_PODS, MANY_PODS, 3, 1])),
        closed=draw(st.sampled_from(["", "", "", "it advertises nvidia.com/gpu"])),
    )


@st.composite
def clusters(draw: st.DrawFn, *, most: int = 5) -> list[Node]:
    count = draw(st.integers(1, most))
    return [draw(nodes(f"n{number}")) for number in range(count)]


# Few keys and values, so that they meet; some that Kubernetes couldn't read.
KEYS = st.sampled_from(["zone", "size", "gpu"])
VALUES = st.sampled_from(["a", "b", "1", "2", "10", "", "-3", "no such value!"])
EFFECTS = st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])
OPERATORS = st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Near"])
TAINT_KEYS = st.sampled_from(["gpu", "team", "node.kubernetes.io/not-ready"])


def taints() -> st.SearchStrategy[Taint]:
    return st.builds(Taint, TAINT_KEYS, st.sampled_from(["", "a"]), EFFECTS)


def labelled(node: Node) -> st.SearchStrategy[Node]:
    """Return the node with labels and taints."""
    return st.builds(
        replace,
        st.just(node),
        labels=st.dictionaries(KEYS, VALUES, max_size=3),
        taints=st.lists(taints(), max_size=2).map(tuple),
    )


@st.composite
def labelled_clusters(draw: st.DrawFn, *, most: int = 5) -> list[Node]:
    return [draw(labelled(each)) for each in draw(clusters(most=most))]


def lines() -> st.SearchStrategy[Requirement]:
    """Return lines about labels: the plain ones, and some of any shape."""
    anything = st.lists(VALUES, max_size=2).map(tuple)
    return st.one_of(
        st.builds(line, KEYS, st.sampled_from(["In", "NotIn"]), VALUES),
        st.builds(line, KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
        st.builds(line, KEYS, st.sampled_from(["Gt", "Lt"]), st.sampled_from(["1", "5"])),
        st.builds(Requirement, KEYS, OPERATORS, anything),
    )


def terms() -> st.SearchStrategy[Term]:
    names = st.sampled_from([("n0",), ("n1",), ("n1", "n2"), ()])
    field = st.sampled_from(["metadata.name", "metadata.name", "spec.x"])
    fields = st.builds(Requirement, field, st.sampled_from(["In", "NotIn", "Exists"]), names)
    return st.builds(
        Term,
        st.lists(lines(), max_size=2).map(tuple),
        st.one_of(st.just(()), st.lists(fields, max_size=2).map(tuple)),
    )


def tolerations() -> st.SearchStrategy[Toleration]:
    return st.builds(
        Toleration,
        st.one_of(st.just(""), TAINT_KEYS),
        st.sampled_from(["Equal", "Exists", "", "Gt"]),
        st.sampled_from(["", "a", "1"]),
        st.one_of(st.just(""), EFFECTS),
    )


def constraints() -> st.SearchStrategy[Constraints]:
    few = st.lists(st.tuples(KEYS, VALUES), max_size=1, unique_by=lambda pair: pair[0])
    groups = st.lists(st.lists(terms(), max_size=2).map(tuple), max_size=2)
    return st.builds(
        Constraints,
        st.one_of(st.just(()), few.map(tuple)),
        groups.map(tuple),
        st.lists(tolerations(), max_size=2).map(tuple),
    )


def requests() -> st.SearchStrategy[Request]:
    """Return requests of every kind, from a few sizes so that they collide."""
    few = st.integers(1, 3)
    beside = {
        "cpu_milli": st.sampled_from([0, 1_000, 4_000]),
        "ram_mib": st.sampled_from([0, 1_000, 8_000]),
        "models": st.sampled_from([(), (), (), ("T4",), ("A10", "A100"), ("mig-1g",)]),
        "spreading": st.sampled_from([Spreading.PACK, Spreading.PACK, Spreading.SPREAD]),
        "linked": st.sampled_from([False, False, False, True]),
    }
    return st.one_of(
        st.builds(share, st.sampled_from([1, 100, 250, 333, 500, 750]), few, **beside),
        st.builds(whole, few, **beside),
        st.builds(by_memory, st.sampled_from([1, 4_000, 8_000, 24_001]), few, **beside),
        st.builds(cpu_only, st.sampled_from([0, 1_000, 4_000])),
    )


NEAR = st.none() | st.builds(Topology, st.sampled_from(["zone", "size"]), st.booleans())
"""How near a gang sits, mostly as it likes."""


def pods(names: st.SearchStrategy[str], tenants: Iterable[str] = "abc") -> st.SearchStrategy[Pod]:
    return st.builds(
        pod,
        names,
        requests(),
        st.sampled_from(list(tenants)),
        created=st.integers(0, 3).map(float),
        priority=st.integers(0, 2),
        preemptible=st.booleans(),
        gang=st.none()
        | st.builds(Gang, st.sampled_from(["lab/g", "lab/h"]), st.integers(1, 3), topology=NEAR),
        owner=st.sampled_from(["", "owner"]),
    )
