"""Limits go with the assignment, in the same Binding."""

from collections.abc import Mapping

import pytest

from scheduler.core.model import assignment
from scheduler.core.model.errors import BindRefused
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID
from scheduler.core.model.limitnotes import MPS_MEMORY, MPS_THREADS
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import PodRef
from scheduler.extender.limiting import LimitingBinder

NODE = NodeName("n")
POD = PodRef("lab", "p", PodUID("u1"))
WHOLE = PodRef("lab", "w", PodUID("u2"))


class Inner:
    """Keeps what it is told to bind."""

    def __init__(self) -> None:
        self.bound: list[Mapping[str, str]] = []
        self.fails: Exception | None = None

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        assert pod in (POD, WHOLE)
        assert node == NODE
        if self.fails:
            raise self.fails
        self.bound.append(annotations)


def limiting(inner: Inner) -> LimitingBinder:
    serves = {NODE: ("mps", "cdi")}
    return LimitingBinder(
        inner,
        serves_of=lambda node: serves.get(node, ()),
        whole_of=lambda uid: uid == WHOLE.uid,
        containers_of=lambda uid: ("main",) if uid == POD.uid else (),
    )


async def test_a_share_goes_with_its_limits() -> None:
    inner = Inner()
    assigned = assignment.encode(Placement(NODE, (Slot(3, DeviceUUID("GPU-3"), 250, 4096),)))
    await limiting(inner).bind(POD, NODE, assigned)
    (found,) = inner.bound
    assert found == {
        **assigned,
        MPS_MEMORY: "0=4096M",
        MPS_THREADS: "25",
        "nvidia.cdi.k8s.io/container.main": "nvidia.com/gpu=GPU-3",
    }


async def test_whole_devices_go_without_limits_that_nobody_reads() -> None:
    inner = Inner()
    assigned = assignment.encode(Placement(NODE, (Slot(3, DeviceUUID("GPU-3"), 1000, 8192),)))
    await limiting(inner).bind(WHOLE, NODE, assigned)
    assert inner.bound == [assigned]


async def test_a_pod_without_gpus_goes_as_it_is() -> None:
    inner = Inner()
    await limiting(inner).bind(POD, NODE, {})
    assert inner.bound == [{}]


async def test_what_the_other_one_raises_is_raised() -> None:
    inner = Inner()
    inner.fails = BindRefused("gone")
    with pytest.raises(BindRefused, match="gone"):
        await limiting(inner).bind(POD, NODE, {})
