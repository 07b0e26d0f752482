"""NVML: what is made of each answer of the library, and of each that it doesn't give."""

import pynvml
import pytest

from scheduler.core.model.errors import DeviceError
from scheduler.device.driver import ProcessKind, ProcessUse, to_devices
from scheduler.device.nvml import NvmlDriver
from tests.device.fake_nvml import FakeCard, FakeNvml, FakeSlice


def one(card: FakeCard, *, memory_v2: bool = True) -> NvmlDriver:
    return NvmlDriver(FakeNvml([card], memory_v2=memory_v2))


def test_usable_memory_is_the_total_less_what_the_driver_reserves() -> None:
    record = one(FakeCard("GPU-0", total_mib=143_771, reserved_mib=600)).inventory()[0]
    assert (record.model, record.memory_mib, record.milli) == ("H200", 143_171, 1000)
    assert record.pci == "00000000:18:00.0"


def test_an_old_driver_counts_its_reserve_as_memory_in_use() -> None:
    driver = one(FakeCard("GPU-0", total_mib=16_384, reserved_mib=400), memory_v2=False)
    assert driver.inventory()[0].memory_mib == 16_384
    assert driver.usage()[0].used_mib == 400
    assert to_devices(driver.inventory(), driver.usage())[0].foreign_mib == 400


@pytest.mark.parametrize(("numa", "told"), [(1, 1), (None, None)])
def test_the_numa_node_is_told_where_it_is_known(numa: int | None, told: int | None) -> None:
    assert one(FakeCard("GPU-0", numa=numa)).inventory()[0].numa == told


@pytest.mark.parametrize(
    ("bridges", "links"),
    [
        (["s", "s", "s"], [0, 0, 0]),
        (["a", "b", "a", "b"], [0, 1, 0, 1]),
        (["", "", "a", "a"], [0, 1, 2, 2]),
        (["a", "b", "ab", "c", "bc"], [0, 0, 0, 0, 0]),
        (["a", "b", "c", "bc"], [0, 1, 1, 1]),
        (["a"], [None]),
    ],
    ids=["a switch", "bridges", "some are not", "in a row", "joined late", "alone"],
)
def test_cards_are_grouped_by_the_links_between_them(
    bridges: list[str], links: list[int | None]
) -> None:
    cards = [FakeCard(f"GPU-{at}", bridge=bridge) for at, bridge in enumerate(bridges)]
    records = NvmlDriver(FakeNvml(cards)).inventory()
    assert [record.link for record in records] == links
    assert [device.link for device in to_devices(records, ())] == [link or 0 for link in links]


def test_a_driver_that_does_not_tell_links_leaves_them_open_and_a_lost_card_keeps_its_own() -> None:
    cards = [FakeCard(f"GPU-{at}", bridge="ab"[at % 2]) for at in range(4)]
    driver = NvmlDriver(FakeNvml(cards))
    assert [record.link for record in driver.inventory()] == [0, 1, 0, 1]
    driver.usage()
    cards[2].broken[""] = pynvml.NVMLError_GpuIsLost
    records = driver.inventory()
    assert [(record.link, record.healthy) for record in records] == [
        (0, True),
        (1, True),
        (0, False),
        (1, True),
    ]
    # A group whose first card is lost keeps its number; where links are lost, too, nobody has it.
    cards[0].broken[""] = pynvml.NVMLError_GpuIsLost
    cards[2].broken.clear()
    assert [record.link for record in driver.inventory()] == [0, 1, 0, 1]
    for card in cards:
        card.bridge = ""
    cards[0].broken.clear()
    assert [record.link for record in driver.inventory()] == [0, 1, 2, 3]
    silent = [FakeCard(f"GPU-{at}") for at in range(2)]
    for card in silent:
        card.broken["nvmlDeviceGetP2PStatus"] = pynvml.NVMLError_NotSupported
    assert [each.link for each in NvmlDriver(FakeNvml(silent)).inventory()] == [None, None]


def test_slices_of_a_card_are_not_linked() -> None:
    slices = {at: FakeSlice(f"MIG-{at}", 1, 16_384) for at in range(2)}
    cut = FakeCard("GPU-0", mig=True, slices=slices)
    cards = [cut, FakeCard("GPU-1", bridge="a"), FakeCard("GPU-2", bridge="a")]
    records = NvmlDriver(FakeNvml(cards)).inventory()
    assert [record.link for record in records] == [None, None, 1, 1]


def test_utilisation_is_in_permille_and_unknown_where_not_supported() -> None:
    assert one(FakeCard("GPU-0", gpu_percent=37)).usage()[0].utilisation == 370
    assert one(FakeCard("GPU-0", gpu_percent=None)).usage()[0].utilisation is None


def test_processes_of_all_kinds_are_listed_each_once() -> None:
    card = FakeCard(
        "GPU-0",
        compute=[(30, 500), (10, 2048), (40, None)],
        graphics=[(20, 12)],
        mps=[(10, 2000)],
    )
    assert one(card).usage()[0].processes == (
        ProcessUse(10, 2048, ProcessKind.MPS),
        ProcessUse(20, 12, ProcessKind.GRAPHICS),
        ProcessUse(30, 500, ProcessKind.COMPUTE),
        ProcessUse(40, None, ProcessKind.COMPUTE),
    )


@pytest.mark.parametrize(
    "problem",
    [pynvml.NVMLError_NotSupported, pynvml.NVMLLibraryMismatchError],
    ids=["not supported", "library too old"],
)
def test_a_driver_without_mps_lists_the_other_processes(problem: type[Exception]) -> None:
    card = FakeCard("GPU-0", compute=[(30, 500)])
    card.broken["nvmlDeviceGetMPSComputeRunningProcesses"] = problem
    assert [process.pid for process in one(card).usage()[0].processes] == [30]


def mig_card(**changes: object) -> FakeCard:
    card = FakeCard(
        "GPU-0",
        name="NVIDIA A100-SXM4-80GB",
        total_mib=81_920,
        mig=True,
        slices={
            0: FakeSlice("MIG-a", 3, 40_192, name="NVIDIA A100-SXM4-80GB MIG 3g.40gb"),
            2: FakeSlice("MIG-b", 1, 9_728, used_mib=900, processes=[(7, None)]),
        },
    )
    for name, value in changes.items():
        setattr(card, name, value)
    return card


def test_a_card_cut_by_mig_gives_its_slices_instead_of_itself() -> None:
    records = one(mig_card()).inventory()
    assert [(each.uuid, each.model, each.memory_mib, each.milli) for each in records] == [
        ("MIG-a", "A100-SXM4-80GB-3g.40gb", 40_192, 428),
        ("MIG-b", "A100-SXM4-80GB-1g.10gb", 9_728, 142),
    ]
    assert all(each.mig and each.parent == "GPU-0" and each.index == 0 for each in records)


def test_a_slice_has_memory_in_use_and_processes_but_no_utilisation() -> None:
    use = one(mig_card()).usage()[1]
    assert (use.uuid, use.used_mib, use.utilisation) == ("MIG-b", 900, None)
    assert use.processes == (ProcessUse(7, None, ProcessKind.COMPUTE),)


def test_a_card_of_four_slices_counts_each_as_a_quarter() -> None:
    card = FakeCard(
        "GPU-0",
        name="NVIDIA A30",
        total_mib=24_576,
        mig=True,
        most_slices=4,
        slices={0: FakeSlice("MIG-a", 1, 5_952), 1: FakeSlice("MIG-b", 2, 11_968)},
    )
    records = one(card).inventory()
    assert [(each.model, each.milli) for each in records] == [
        ("A30-1g.6gb", 250),
        ("A30-2g.12gb", 500),
    ]


def test_a_card_that_knows_no_mig_is_a_whole_card() -> None:
    assert one(FakeCard("GPU-0", name="Tesla T4", mig=None)).inventory()[0].model == "T4"


def test_mig_without_slices_is_told_from_no_card() -> None:
    with pytest.raises(DeviceError, match="MIG is on but no slice is made"):
        one(mig_card(slices={})).inventory()


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (pynvml.NVMLError_LibraryNotFound, "no NVIDIA driver here: libnvidia-ml"),
        (pynvml.NVMLError_DriverNotLoaded, "no NVIDIA driver here: its kernel module"),
        (pynvml.NVMLError_LibRmVersionMismatch, "reboot the machine"),
        (pynvml.NVMLError_Unknown, "can't be used"),
    ],
)
def test_no_usable_driver_is_one_sentence(problem: type[Exception], text: str) -> None:
    with pytest.raises(DeviceError, match=text) as caught:
        NvmlDriver(FakeNvml([], init_error=problem))
    assert "\n" not in str(caught.value)


def test_a_driver_without_a_card_is_one_sentence() -> None:
    with pytest.raises(DeviceError, match="no GPU here"):
        NvmlDriver(FakeNvml([])).inventory()


def test_a_driver_that_stops_answering_is_an_error_of_the_whole() -> None:
    driver = one(FakeCard("GPU-0"))
    driver.close()
    for ask in (driver.inventory, driver.usage, driver.about):
        with pytest.raises(DeviceError, match="doesn't answer"):
            ask()
    driver.close()


def test_a_card_that_breaks_keeps_its_uuid_and_size_and_is_not_healthy() -> None:
    cards = [FakeCard("GPU-0"), FakeCard("GPU-1")]
    driver = NvmlDriver(FakeNvml(cards))
    before = driver.inventory()
    cards[0].broken[""] = pynvml.NVMLError_GpuIsLost
    broken, other = driver.inventory()
    assert (broken.uuid, broken.memory_mib, broken.healthy) == ("GPU-0", 143_171, False)
    assert broken.fault == "GPU is lost"
    assert other == before[1]
    assert [use.uuid for use in driver.usage()] == ["GPU-1"]


def test_all_slices_of_a_card_that_breaks_are_not_healthy() -> None:
    card = mig_card()
    driver = one(card)
    driver.inventory()
    card.broken[""] = pynvml.NVMLError_ResetRequired
    assert [(each.uuid, each.healthy) for each in driver.inventory()] == [
        ("MIG-a", False),
        ("MIG-b", False),
    ]


def test_a_card_that_was_broken_from_the_start_is_shown_but_never_given() -> None:
    cards = [FakeCard("GPU-0", broken={"": pynvml.NVMLError_GpuIsLost}), FakeCard("GPU-1")]
    records = NvmlDriver(FakeNvml(cards)).inventory()
    assert [(each.index, each.uuid, each.healthy) for each in records] == [
        (0, "", False),
        (1, "GPU-1", True),
    ]
    assert [device.uuid for device in to_devices(records, ())] == ["GPU-1"]


def test_another_card_in_the_place_of_one_known_does_not_take_over_its_name() -> None:
    cards = [FakeCard("GPU-0")]
    driver = NvmlDriver(FakeNvml(cards))
    driver.inventory()
    cards[0] = FakeCard("GPU-9", broken={"nvmlDeviceGetName": pynvml.NVMLError_Unknown})
    assert [(each.uuid, each.memory_mib) for each in driver.inventory()] == [("GPU-9", 0)]


def test_a_card_that_breaks_while_it_is_read_has_no_use() -> None:
    card = FakeCard("GPU-0", broken={"nvmlDeviceGetUtilizationRates": pynvml.NVMLError_Timeout})
    driver = NvmlDriver(FakeNvml([card, FakeCard("GPU-1")]))
    assert [use.uuid for use in driver.usage()] == ["GPU-1"]


def test_it_tells_the_versions_of_driver_and_cuda() -> None:
    assert one(FakeCard("GPU-0")).about() == "nvml, driver 570.133.20, CUDA 12.8"
