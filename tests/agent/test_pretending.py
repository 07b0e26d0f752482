"""Scripted devices: our pods hold what the script says, and count as ours, not as strangers."""

from scheduler.agent.overuse import holdings
from scheduler.agent.pods import Guests
from scheduler.agent.pretending import with_guests
from scheduler.agent.reading import Reading
from scheduler.agent.use import uses
from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import DeviceRecord, DeviceUsage, ProcessUse
from tests.agent.fakes import NODE, pod_json

FOREIGN_MIB = 2_000


def reading(*permille: int, memory_mib: int = 16_384) -> Reading:
    """As many devices, each with a stranger, whose script says that of pods."""
    uuids = [DeviceUUID(f"GPU-{index}") for index in range(len(permille))]
    return Reading(
        at=0.0,
        about="mock",
        records=tuple(
            DeviceRecord(index, uuid, "T4", memory_mib) for index, uuid in enumerate(uuids)
        ),
        usage=tuple(
            DeviceUsage(
                uuid, FOREIGN_MIB, 0, (ProcessUse(2**22, FOREIGN_MIB),), guests_permille=part
            )
            for uuid, part in zip(uuids, permille, strict=True)
        ),
    )


def guests() -> Guests:
    found = Guests(NODE)
    found.replace(
        [pod_json("p", ("GPU-0", 4_000), ("GPU-1", 1_000)), pod_json("q", ("GPU-0", 2_000))]
    )
    return found


def held(of: Reading) -> dict[tuple[str, str], int]:
    mine = guests().by_uid.values()
    return {(each.pod.name, each.uuid): each.used_mib for each in holdings(mine, of)}


def test_each_pod_holds_its_part_of_the_promise_on_each_device() -> None:
    found = with_guests(reading(900, 1_500), guests().by_uid.values())
    assert held(found) == {("p", "GPU-0"): 3_600, ("p", "GPU-1"): 1_500, ("q", "GPU-0"): 1_800}


def test_what_they_hold_is_in_use_and_not_foreign() -> None:
    found = with_guests(reading(900, 0), guests().by_uid.values())
    first, second = uses(found.usage, owners=found.owners, guests=guests().by_uid)
    assert (first.used_mib, first.foreign_mib) == (FOREIGN_MIB + 5_400, FOREIGN_MIB)
    assert (second.used_mib, second.foreign_mib) == (FOREIGN_MIB, FOREIGN_MIB)


def test_together_they_hold_no_more_than_there_is() -> None:
    found = with_guests(reading(10_000, 0, memory_mib=8_000), guests().by_uid.values())
    assert held(found)["p", "GPU-0"] == 6_000
    assert held(found)["q", "GPU-0"] == 0
    assert found.usage[0].used_mib == 8_000


def test_a_reading_of_which_no_script_says_anything_is_left_as_it_is() -> None:
    plain = reading(0, 0)
    assert with_guests(plain, guests().by_uid.values()) is plain
