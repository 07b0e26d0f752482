"""Scripted cards: what they are, what happens on them when, and that it is the same every time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.device.driver import DeviceUsage, to_devices
from scheduler.device.mock import DEMO, FIRST_PID, MockDriver, device_uuid, load_nodes, parse_nodes
from scheduler.device.script import Card, Load, Step


def driver(devices: str) -> MockDriver:
    return parse_nodes(f"name: n\ncpu: 8\nmemory: 32Gi\ndevices: {devices}\n")[0].driver


def only_use(of: MockDriver, at: float) -> DeviceUsage:
    (use,) = of.usage(at)
    return use


def test_a_cluster_file_gives_its_nodes_in_order_with_cpu_and_memory() -> None:
    nodes = parse_nodes(
        "models: {T4: {memory: 16Gi}}\n"
        "nodes:\n"
        "  - {name: a, count: 2, cpu: 500m, memory: 1Gi, devices: [{model: T4, count: 2}]}\n"
        "  - {name: b, cpu: 96, memory: 768Gi}\n"
    )
    assert [(node.name, node.cpu_milli, node.ram_mib) for node in nodes] == [
        ("a-0", 500, 1024),
        ("a-1", 500, 1024),
        ("b", 96_000, 786_432),
    ]
    assert [len(node.driver.inventory()) for node in nodes] == [2, 2, 0]


def test_a_path_and_a_text_are_both_read(tmp_path: Path) -> None:
    text = "name: n\ncpu: 8\nmemory: 32Gi\ndevices: [{model: T4, memory: 16Gi}]\n"
    file = tmp_path / "one.yaml"
    file.write_text(text, encoding="utf-8")
    records = [load_nodes(source)[0].driver.inventory() for source in (file, str(file), text)]
    assert records[0] == records[1] == records[2]


def test_uuids_come_from_node_and_place_and_stay() -> None:
    assert device_uuid("n", 0) == "GPU-3e5c85b6-0760-5922-acad-956d0b429fec"
    assert len({device_uuid("n", 0), device_uuid("n", 1), device_uuid("m", 0)}) == 3
    assert device_uuid("n", 0, part=0).startswith("MIG-")


def test_a_model_is_written_short_whatever_the_file_calls_it() -> None:
    (record,) = driver("[{model: NVIDIA A100-SXM4-80GB, memory: 80Gi}]").inventory()
    assert record.model == "A100-SXM4-80GB"


def test_the_memory_of_a_card_goes_before_that_of_its_model() -> None:
    (node,) = parse_nodes(
        "models: {T4: {memory: 16Gi}}\nname: n\ncpu: 8\nmemory: 32Gi\n"
        "devices: [{model: Tesla T4, memory: 15Gi}, {model: Tesla T4}]\n"
    )
    assert [record.memory_mib for record in node.driver.inventory()] == [15_360, 16_384]


LOAD = "{model: T4, memory: 16Gi, load: [{at: 2, utilisation: 0.3}, {at: 10, foreign: 2Gi}]"


@pytest.mark.parametrize(
    ("at", "utilisation", "foreign"),
    [(0, 0, 0), (1.9, 0, 0), (2, 300, 0), (9.9, 300, 0), (10, 0, 2048), (10**9, 0, 2048)],
)
def test_a_step_is_valid_until_the_next_one(at: float, utilisation: int, foreign: int) -> None:
    use = only_use(driver(f"[{LOAD}}}]"), at)
    assert (use.utilisation, use.used_mib) == (utilisation, foreign)


@pytest.mark.parametrize(("at", "utilisation"), [(19, 0), (20, 0), (22, 300), (42.5, 300)])
def test_a_repeated_script_starts_over(at: float, utilisation: int) -> None:
    assert only_use(driver(f"[{LOAD}, repeat: 20}}]"), at).utilisation == utilisation


def test_what_pods_hold_is_a_part_of_promises_that_the_driver_does_not_know() -> None:
    cards = driver("[{model: T4, memory: 16Gi, load: [{at: 2, pods: 1.25}]}]")
    assert [only_use(cards, at).guests_permille for at in (0, 2)] == [0, 1250]
    assert only_use(cards, 2).used_mib == 0


def test_what_a_stranger_holds_is_foreign_to_the_scheduler() -> None:
    cards = driver(f"[{LOAD}}}]")
    (device,) = to_devices(cards.inventory(), cards.usage(10))
    assert device.foreign_mib == 2048
    (process,) = cards.usage(10)[0].processes
    assert process.pid >= FIRST_PID


def test_a_lost_card_is_whole_until_its_second_and_silent_from_then_on() -> None:
    cards = driver("[{model: T4, memory: 16Gi, fault: {at: 5, lost: true}}]")
    assert cards.inventory(4.9)[0].healthy
    assert len(cards.usage(4.9)) == 1
    (record,) = cards.inventory(5)
    assert (record.healthy, record.fault) == (False, "the GPU is lost")
    assert cards.usage(5) == ()
    assert not to_devices(cards.inventory(5), cards.usage(5))[0].healthy


def test_a_card_with_an_xid_error_is_not_healthy_but_still_answers() -> None:
    cards = driver("[{model: T4, memory: 16Gi, fault: {at: 5, xid: 79}}]")
    assert cards.inventory(6)[0].fault == "XID 79"
    assert len(cards.usage(6)) == 1


def test_a_card_with_mig_is_given_by_the_slice() -> None:
    cards = driver(
        "[{model: A100-SXM4-80GB, memory: 80Gi, fault: {at: 9, lost: true}, "
        "mig: [3g.40gb, {profile: 1g.10gb, count: 2, load: [{at: 0, foreign: 1Gi}]}]}]"
    )
    records = cards.inventory()
    assert [(each.model, each.memory_mib, each.milli) for each in records] == [
        ("A100-SXM4-80GB-3g.40gb", 40_960, 428),
        ("A100-SXM4-80GB-1g.10gb", 10_240, 142),
        ("A100-SXM4-80GB-1g.10gb", 10_240, 142),
    ]
    assert [use.used_mib for use in cards.usage()] == [0, 1024, 1024]
    assert len({process.pid for use in cards.usage() for process in use.processes}) == 2
    assert not any(each.healthy for each in cards.inventory(9))


def test_the_demo_cluster_has_twenty_cards_of_three_models_and_one_stranger() -> None:
    nodes = load_nodes(DEMO)
    records = [record for node in nodes for record in node.driver.inventory()]
    assert len(nodes) == 5
    assert len(records) == 20
    assert {record.model for record in records} == {"A100-SXM4-80GB", "A10", "T4"}
    usage = [use for node in nodes for use in node.driver.usage()]
    assert [use.used_mib for use in usage if use.used_mib] == [12 * 1024]
    assert len({use.utilisation for use in usage}) > 15


@given(
    times=st.lists(st.integers(0, 50), unique=True, min_size=1, max_size=8).map(sorted),
    at=st.floats(0, 500),
    repeat=st.none() | st.integers(51, 99),
)
def test_the_step_of_a_second_is_the_last_one_that_began(
    times: list[int], at: float, repeat: int | None
) -> None:
    load = Load(tuple(Step(float(time), time) for time in times), repeat)
    second = at % repeat if repeat else at
    begun = [time for time in times if time <= second]
    assert load.at(at).utilisation == (begun[-1] if begun else 0)


def test_a_card_without_a_script_is_idle() -> None:
    assert only_use(MockDriver("n", (Card("T4", 16_384),)), 3).used_mib == 0
