"""Devices that vanish: who stays listed, for how long, and why."""

from dataclasses import replace

from scheduler.agent.inventory import GONE, LOST, Inventory
from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import DeviceRecord

NOBODY: frozenset[DeviceUUID] = frozenset()


def card(index: int, uuid: str | None = None, *, parent: str | None = None) -> DeviceRecord:
    return DeviceRecord(
        index,
        DeviceUUID(f"GPU-{index}" if uuid is None else uuid),
        "H200",
        143_171,
        mig=parent is not None,
        parent=DeviceUUID(parent) if parent else None,
    )


def held(*uuids: str) -> frozenset[DeviceUUID]:
    return frozenset(DeviceUUID(uuid) for uuid in uuids)


def faults(records: tuple[DeviceRecord, ...]) -> dict[str, str]:
    return {record.uuid: record.fault for record in records}


def test_a_card_that_vanishes_stays_listed_as_lost_until_it_is_back() -> None:
    inventory = Inventory()
    both = (card(0), card(1))
    assert inventory.update(both, held=NOBODY) == both
    for _ in range(2):
        after = inventory.update(both[1:], held=NOBODY)
        assert after == (replace(both[0], healthy=False, fault=LOST), both[1])
    assert inventory.update(both, held=NOBODY) == both


def test_indices_that_move_up_do_not_hide_the_lost_one() -> None:
    inventory = Inventory()
    inventory.update((card(0), card(1), card(2)), held=NOBODY)
    after = inventory.update((card(0), card(1, "GPU-2")), held=NOBODY)
    assert faults(after) == {"GPU-0": "", "GPU-2": "", "GPU-1": LOST}
    assert len({record.uuid for record in after}) == 3


def test_a_card_without_a_uuid_is_left_out() -> None:
    broken = replace(card(1, ""), healthy=False, fault="GPU is lost", memory_mib=0)
    assert Inventory().update((card(0), broken), held=NOBODY) == (card(0),)


def test_a_card_that_mig_cuts_is_not_lost() -> None:
    inventory = Inventory()
    inventory.update((card(0), card(1)), held=NOBODY)
    cut = (card(0, "MIG-a", parent="GPU-0"), card(0, "MIG-b", parent="GPU-0"), card(1))
    assert inventory.update(cut, held=NOBODY) == cut
    anew = (card(0, "MIG-c", parent="GPU-0"), card(1))
    assert inventory.update(anew, held=NOBODY) == anew
    assert inventory.update((card(0), card(1)), held=NOBODY) == (card(0), card(1))


def test_a_slice_that_a_pod_still_holds_is_lost_to_it() -> None:
    inventory = Inventory()
    inventory.update((card(0, "MIG-a", parent="GPU-0"),), held=held("MIG-a"))
    anew = (card(0, "MIG-b", parent="GPU-0"),)
    assert faults(inventory.update(anew, held=held("MIG-a"))) == {"MIG-b": "", "MIG-a": LOST}
    assert inventory.update(anew, held=NOBODY) == anew


def test_slices_of_a_card_that_vanished_are_lost() -> None:
    inventory = Inventory()
    inventory.update((card(0, "MIG-a", parent="GPU-0"), card(1)), held=NOBODY)
    assert faults(inventory.update((card(1),), held=NOBODY)) == {"MIG-a": LOST, "GPU-1": ""}


def test_what_an_earlier_run_knew_is_lost_too_if_the_machine_still_runs() -> None:
    inventory = Inventory()
    inventory.adopt((card(0), card(1)), same_boot=True)
    assert faults(inventory.update((card(1),), held=NOBODY)) == {"GPU-0": LOST, "GPU-1": ""}


def test_after_a_reboot_only_what_pods_hold_is_lost() -> None:
    inventory = Inventory()
    inventory.adopt((card(0), card(1), card(2)), same_boot=False)
    after = inventory.update((card(1),), held=None)
    assert faults(after) == {"GPU-0": GONE, "GPU-1": "", "GPU-2": GONE}
    assert faults(inventory.update((card(1),), held=held("GPU-2"))) == {"GPU-1": "", "GPU-2": GONE}
    assert faults(inventory.update((card(1),), held=NOBODY)) == {"GPU-1": ""}


def test_a_second_restart_after_a_reboot_changes_nothing_of_that() -> None:
    first, second = Inventory(), Inventory()
    first.adopt((card(0), card(1)), same_boot=False)
    second.adopt(first.update((card(1),), held=held("GPU-0")), same_boot=True)
    assert faults(second.update((card(1),), held=held("GPU-0"))) == {"GPU-0": GONE, "GPU-1": ""}
    assert faults(second.update((card(1),), held=NOBODY)) == {"GPU-1": ""}


def test_what_is_seen_now_goes_before_what_was_published() -> None:
    inventory = Inventory()
    inventory.update((card(0),), held=NOBODY)
    old = replace(card(0), healthy=False, fault=LOST, model="old")
    inventory.adopt((old, card(1)), same_boot=True)
    assert faults(inventory.update((card(0),), held=NOBODY)) == {"GPU-0": "", "GPU-1": LOST}


def test_a_driver_that_does_not_answer_leaves_no_device_healthy() -> None:
    inventory = Inventory()
    inventory.adopt((card(1),), same_boot=True)
    inventory.update((card(0),), held=NOBODY)
    assert faults(inventory.unanswered("silent")) == {"GPU-0": "silent", "GPU-1": "silent"}
    assert not any(record.healthy for record in inventory.unanswered("silent"))
