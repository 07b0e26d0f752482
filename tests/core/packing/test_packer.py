"""Places: what fits, which device, who goes first among equals."""

from collections import Counter

import numpy as np
import pytest

from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request, Spreading
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from tests.support.builders import (
    MIG_MILLI,
    by_memory,
    cpu_only,
    device,
    node,
    place,
    pod,
    share,
    whole,
)

EVERY_POLICY = pytest.mark.parametrize("policy", list(POLICIES))
MIX = Mix.of([share(500), share(250), whole(1), whole(2), by_memory(8_000), cpu_only()] * 3)
TIGHT = "best-fit"


def found(nodes: list[Node], request: Request, policy: str = TIGHT) -> Placement | None:
    return Packer(Columns(nodes), policy, mix=MIX).place(request)


def after(nodes: list[Node], *taken: tuple[Placement, Request]) -> Columns:
    columns = Columns(nodes)
    for placement, request in taken:
        columns.take(columns.row[placement.node], placement.slots, request)
    return columns


def half_full(*names: str, **changes: int) -> Columns:
    """Return nodes of two T4 with 0.5 taken of GPU 0."""
    return after(
        [node(name) for name in names],
        *[(place(name, (0, 500, 8_000)), share(500)) for name in names],
    )


# ------------------------------------------------------------------------------------ what fits


@EVERY_POLICY
def test_three_thirds_of_a_card_fit_by_memory(policy: str) -> None:
    # 16,000 ÷ 3 = 5,333 MiB count 5333·1000 ÷ 16000 = 333 milli; three of them 999.
    ledger = Ledger([node("n1", 1)])
    for name in "pqr":
        found = Packer(ledger.columns, policy, mix=MIX).place(by_memory(5_333))
        assert found == place("n1", (0, 333, 5_333))
        ledger.reserve(pod(name, by_memory(5_333)), found)
    assert Packer(ledger.columns, policy, mix=MIX).place(by_memory(5_333)) is None


def test_a_request_by_memory_counts_as_its_part_of_the_card() -> None:
    assert found([node("n1", 1)], by_memory(8_000)) == place("n1", (0, 500, 8_000))
    # 8000 · 1000 ÷ 81920 = 97.6, rounded down.
    assert found([node("n1", 1, model="A100")], by_memory(8_000)) == place("n1", (0, 97, 8_000))
    assert found([node("n1", 1)], by_memory(1)) == place("n1", (0, 1, 1))
    assert found([node("n1", 1)], by_memory(16_001)) is None


def test_a_share_takes_the_same_part_of_the_memory() -> None:
    # 24001 · 0.333 = 7992.3, rounded down, so that shares that add up to a card fit on it.
    assert found([node("n1", 1, model="A10")], share(333)) == place("n1", (0, 333, 7_992))


@EVERY_POLICY
def test_memory_that_strangers_hold_is_respected(policy: str) -> None:
    busy = [node("n1", [device("n1/0", foreign_mib=1), device("n1/1", foreign_mib=8_000)])]
    assert found(busy, whole(1), policy) is None
    assert found(busy, share(501), policy) == place("n1", (0, 501, 8_016))
    assert found(busy, by_memory(8_001), policy) == place("n1", (0, 500, 8_001))
    assert found(busy, share(500, 2), policy) == place("n1", (0, 500, 8_000), (1, 500, 8_000))


def test_a_claim_with_more_memory_than_its_share_leaves_less_memory() -> None:
    # Bound before the card was described anew, or by hand: 0.1 GPU with 12,000 of 16,000 MiB.
    ledger = Ledger([node("n1", 1)])
    ledger.bind(pod("p", 100), place("n1", (0, 100, 12_000)))
    packer = Packer(ledger.columns, TIGHT)
    assert packer.place(share(251)) is None
    assert packer.place(share(250)) == place("n1", (0, 250, 4_000))


@EVERY_POLICY
def test_whole_cards_are_shared_with_nobody(policy: str) -> None:
    columns = half_full("n1", "n2")
    assert Packer(columns, policy, mix=MIX).place(whole(2)) is None
    packer = Packer(columns, policy, mix=MIX)
    one = packer.place(whole(1))
    assert one is not None
    assert [(slot.index, slot.milli) for slot in one.slots] == [(1, 1000)]
    columns.take(columns.row[one.node], one.slots, whole(1))
    two = packer.place(share(1000 - 500))
    assert two is not None
    assert [slot.index for slot in two.slots] != [1] or two.node != one.node


def test_several_devices_are_of_one_node() -> None:
    nodes = [node("n1", 1), node("n2", 2)]
    assert found(nodes, share(250, 2)) == place("n2", (0, 250, 4_000), (1, 250, 4_000))
    assert found(nodes, share(250, 3)) is None


def test_models_are_kept_to() -> None:
    nodes = [node("n1", 1), node("n2", 1, model="A10"), node("n3", 1, model="A100")]
    assert found(nodes, share(500, models=("A100", "H100"))) == place("n3", (0, 500, 40_960))
    assert found(nodes, share(500, models=("H100",))) is None
    mixed = [node("n1", [device("n1/0"), device("n1/1", "A10")])]
    assert found(mixed, whole(1, models=("A10",))) == place("n1", (1, 1000, 24_001))
    assert found(mixed, whole(2, models=("A10",))) is None


@EVERY_POLICY
def test_slices_go_only_to_who_names_them_and_never_in_shares(policy: str) -> None:
    sliced = [node("n1", 2, model="mig-1g")]
    for request in (whole(1), share(100), by_memory(1_000), share(100, models=("mig-1g",))):
        assert found(sliced, request, policy) is None
    expected = place("n1", (0, MIG_MILLI, 10_000))
    assert found(sliced, whole(1, models=("mig-1g",)), policy) == expected


@EVERY_POLICY
def test_cpu_and_memory_of_the_node_count_too(policy: str) -> None:
    nodes = [node("n1", cpu_milli=1_000), node("n2", ram_mib=1_000), node("n3", open=False)]
    assert found(nodes, share(500, cpu_milli=1_000, ram_mib=1_001), policy) is not None
    assert found(nodes, share(500, cpu_milli=1_001, ram_mib=1_001), policy) is None
    assert found(nodes, Request(cpu_milli=1_001), policy) == place("n2")


def test_only_rows_that_are_offered_are_looked_at() -> None:
    packer = Packer(half_full("n1", "n2", "n3"), TIGHT)
    assert packer.place(share(500), among=np.array([2])) == place("n3", (0, 500, 8_000))
    # The order of the offer plays no part.
    assert packer.place(share(500), among=np.array([2, 1])) == place("n2", (0, 500, 8_000))
    assert packer.place(share(500), among=np.array([], dtype=np.int64)) is None
    full = Packer(Columns([node("n1", 0), node("n2")]), TIGHT)
    assert full.place(share(500), among=np.array([0])) is None


def test_an_unknown_policy_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match='no policy "fancy"; choose one of random, best-fit'):
        Packer(Columns(), "fancy")


# ----------------------------------------------------------------------------- among equals


@EVERY_POLICY
def test_the_less_loaded_card_wins_on_one_node(policy: str) -> None:
    if policy == "random":
        return
    busy = [
        node("n1", [device("n1/0", load=900), device("n1/1", load=100), device("n1/2", load=250)])
    ]
    for request in (share(500), whole(1), by_memory(4_000)):
        place = found(busy, request, policy)
        assert place is not None
        assert [slot.index for slot in place.slots] == [1]
    both = found(busy, share(100, 2), policy)
    assert both is not None
    assert [slot.index for slot in both.slots] == [1, 2]


@EVERY_POLICY
def test_the_less_loaded_card_wins_between_nodes(policy: str) -> None:
    if policy == "random":
        return
    nodes = [
        node(f"n{i}", [device(f"n{i}/0", load=load)]) for i, load in enumerate((900, 100, 500))
    ]
    for request in (share(500), whole(1), by_memory(4_000)):
        place = found(nodes, request, policy)
        assert place is not None
        assert place.node == "n1"


def test_a_fuller_card_wins_over_a_less_loaded_one() -> None:
    columns = after(
        [node("n1", [device("n1/0", load=900), device("n1/1")])],
        (place("n1", (0, 250, 4_000)), share(250)),
    )
    assert Packer(columns, TIGHT).place(share(500)) == place("n1", (0, 500, 8_000))


def test_equal_nodes_go_by_rank_and_by_their_order_without_one() -> None:
    nodes = [node(name, 1) for name in ("n1", "n2", "n3")]
    ranked = Packer(Columns(nodes), TIGHT, rank=np.array([2, 0, 1]))
    assert ranked.place(share(500)) == place("n2", (0, 500, 8_000))
    assert found(nodes, share(500)) == place("n1", (0, 500, 8_000))


def test_a_pod_may_ask_to_be_spread_under_any_policy() -> None:
    request = share(250, spreading=Spreading.SPREAD)
    assert Packer(half_full("n1"), TIGHT).place(request) == place("n1", (1, 250, 4_000))
    assert Packer(half_full("n1"), TIGHT).place(share(250)) == place("n1", (0, 250, 4_000))


# ----------------------------------------------------------------------------------- by chance


def test_the_same_seed_gives_the_same_place() -> None:
    nodes = [node(f"n{number}", 4) for number in range(8)]
    places = [found_by_chance(nodes, seed) for seed in range(50)]
    assert places == [found_by_chance(nodes, seed) for seed in range(50)]
    assert len(set(places)) > 16


def found_by_chance(nodes: list[Node], seed: int) -> Placement | None:
    return Packer(Columns(nodes), "random").place(share(500), seed=seed)


def test_chance_is_roughly_fair_to_nodes_and_devices() -> None:
    packer = Packer(Columns([node(f"n{number}", 4) for number in range(4)]), "random")
    places = [packer.place(share(500), seed=seed) for seed in range(1600)]
    nodes = Counter(place.node for place in places if place)
    devices = Counter((place.node, place.slots[0].index) for place in places if place)
    # 400 a node, deviation √(1600·¼·¾) = 17; 100 a device, deviation √(1600/16·15/16) = 10.
    assert len(nodes) == 4
    assert all(abs(count - 400) < 5 * 17 for count in nodes.values())
    assert len(devices) == 16
    assert all(abs(count - 100) < 5 * 10 for count in devices.values())


def test_measured_load_is_nothing_to_chance() -> None:
    busy = node("n9", [device("n9/0", load=900)])
    packer = Packer(Columns([*(node(f"n{number}", 1) for number in range(7)), busy]), "random")
    places = [packer.place(share(500), seed=seed) for seed in range(200)]
    assert {place.node for place in places if place} == {*(f"n{at}" for at in range(7)), "n9"}


def test_chance_chooses_only_what_fits() -> None:
    nodes = [node("n1", 0), node("n2", 1), node("n3", open=False)]
    places = {found_by_chance(nodes, seed) for seed in range(20)}
    assert places == {place("n2", (0, 500, 8_000))}
