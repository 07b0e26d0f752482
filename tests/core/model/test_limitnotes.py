"""What a Binding says so that the node keeps a pod to its share."""

import pytest

from scheduler.core.model import assignment, limitnotes
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.limitnotes import MEMORY_LIMIT, MPS_MEMORY, MPS_THREADS, limits
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.requests import MAX_DEVICES


def placed(*slots: tuple[int, int]) -> Placement:
    """Return a placement with a slot for each (milli, MiB)."""
    return Placement(
        NodeName("n"),
        tuple(
            Slot(index, DeviceUUID(f"GPU-{index}"), milli, memory_mib)
            for index, (milli, memory_mib) in enumerate(slots)
        ),
    )


@pytest.mark.parametrize(
    ("placement", "serves", "notes"),
    [
        (placed(), ("mps", "driver-limits"), {}),
        (placed((250, 4096)), (), {MPS_MEMORY: "0=4096M", MPS_THREADS: "100"}),
        (placed((250, 4096)), ("mps",), {MPS_MEMORY: "0=4096M", MPS_THREADS: "25"}),
        # Rounded up: MPS reads 0 as no limit.
        (placed((1, 80)), ("mps",), {MPS_MEMORY: "0=80M", MPS_THREADS: "1"}),
        (placed((333, 80)), ("mps",), {MPS_MEMORY: "0=80M", MPS_THREADS: "34"}),
        (placed((1000, 80)), ("mps",), {MPS_MEMORY: "0=80M", MPS_THREADS: "100"}),
        (
            placed((500, 8192), (500, 8192)),
            ("mps",),
            {MPS_MEMORY: "0=8192M,1=8192M", MPS_THREADS: "50"},
        ),
        # Of unlike cards the smaller share counts for both.
        (
            placed((500, 12_000), (500, 8192)),
            (),
            {MPS_MEMORY: "0=8192M,1=8192M", MPS_THREADS: "100"},
        ),
        (
            placed((250, 4096)),
            ("driver-limits",),
            {MPS_MEMORY: "0=4096M", MPS_THREADS: "100", MEMORY_LIMIT: "4096"},
        ),
    ],
)
def test_limits(placement: Placement, serves: tuple[str, ...], notes: dict[str, str]) -> None:
    assert limits(placement, serves) == notes


def test_whole_devices_have_no_limit_by_mps() -> None:
    found = limits(placed((1000, 8192)), ("mps", "driver-limits"), whole=True)
    assert found == {MEMORY_LIMIT: "8192"}


def test_nvidias_own_plugin_is_told_the_devices_of_each_container() -> None:
    found = limits(placed((500, 8), (500, 8)), ("cdi",), containers=("a", "b" * 54))
    assert found["nvidia.cdi.k8s.io/container.a"] == "nvidia.com/gpu=GPU-0,nvidia.com/gpu=GPU-1"
    # A key may have 63 letters after the slash; more would make every later update of the pod fail.
    assert [key for key in found if key.startswith(limitnotes.CDI_PREFIX + "b")] == []


def test_the_largest_ones_fit_beside_the_assignment() -> None:
    uuid = "GPU-00000000-0000-0000-0000-{:012d}"
    slots = tuple(Slot(n, DeviceUUID(uuid.format(n)), 999, 81_559) for n in range(MAX_DEVICES))
    placement = Placement(NodeName("n" * 253), slots)
    notes = limits(placement, ("mps", "driver-limits", "cdi"), containers=("main",))
    assert assignment.size({**assignment.encode(placement), **notes}) < assignment.OURS_BYTES
