"""Devices drain for a request that waits for long, and for nobody else."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.reservations.reserve import MOST_SECONDS
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory, Reservation, Running
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import admitted, backlog, carry_out, verdict
from tests.support.builders import (
    by_memory,
    cpu_only,
    device,
    node,
    place,
    pod,
    share,
    tenant,
    whole,
)

PATIENCE = 600.0
PROFILE = Profile(policy="gpu-packing", reserve_after=PATIENCE)
A, B = tenant("a"), tenant("b", created=1.0)


def occupied(**held: Sequence[int]) -> Ledger:
    """Nodes, of each of whose cards so many milli are held by a pod of b."""
    ledger = Ledger([node(name, len(cards)) for name, cards in held.items()])
    for name, cards in held.items():
        for index, milli in enumerate(cards):
            if milli:
                running = pod(f"{name}-{index}", share(milli), "b")
                place = Placement(
                    NodeName(name), (Slot(index, ledger.columns.uuids[0][0], milli, 0),)
                )
                uuid = ledger.nodes[NodeName(name)].devices[index].uuid
                slots = (replace(place.slots[0], uuid=uuid),)
                ledger.bind(running, replace(place, slots=slots))
    return ledger


def decide(ledger: Ledger, pending: Iterable[Pod], at: float, memory: Memory) -> Plan:
    snapshot = replace(ledger.snapshot(tenants=[A, B]), memory=memory)
    return run_cycle(snapshot, pending, at, PROFILE)


LARGE = pod("large", whole(2), "a")
SMALL = backlog("b", 4, 500)


def after_patience(ledger: Ledger, *pods: Pod) -> Plan:
    first = decide(ledger, pods, 0.0, Memory())
    assert first.memory.reservations == ()
    early = decide(ledger, pods, PATIENCE - 1, first.memory)
    assert early.memory == first.memory
    return decide(ledger, pods, PATIENCE, early.memory)


def test_the_node_with_the_least_to_drain_is_chosen_once_the_patience_is_over() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 500))
    plan = after_patience(ledger, LARGE)
    (reserved,) = plan.memory.reservations
    assert reserved == Reservation(PodUID("large"), NodeName("n2"), (0, 1), PATIENCE)
    for seconds in range(1, 6):
        later = decide(ledger, [LARGE], PATIENCE + seconds, plan.memory)
        assert (later.admits, later.memory) == ((), plan.memory)


def test_what_ends_there_is_not_given_to_others_and_the_pod_starts_with_the_last_end() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 1000))
    plan = after_patience(ledger, LARGE, *SMALL)
    ledger.release(PodUID("n1-0"))
    plan = decide(ledger, [LARGE, *SMALL], PATIENCE + 10, plan.memory)
    assert admitted(plan) == []
    ledger.release(PodUID("n1-1"))
    ledger.release(PodUID("n2-0"))
    plan = decide(ledger, [LARGE, *SMALL], PATIENCE + 20, plan.memory)
    assert admitted(plan) == ["large", "b0", "b1"]
    assert plan.memory.reservations == ()
    carry_out(ledger, plan)


def test_a_reservation_moves_to_what_has_less_to_drain_by_now() -> None:
    ledger = occupied(n1=(1000, 1000, 1000, 1000))
    memory = after_patience(ledger, LARGE).memory
    assert [each.devices for each in memory.reservations] == [(0, 1)]
    ledger.release(PodUID("n1-2"))
    plan = decide(ledger, [LARGE, *SMALL], PATIENCE + 10, memory)
    assert plan.memory.reservations == (
        Reservation(PodUID("large"), NodeName("n1"), (0, 2), PATIENCE),
    )
    assert admitted(plan) == []
    for seconds in range(11, 16):
        again = decide(ledger, [LARGE, *SMALL], PATIENCE + seconds, plan.memory)
        assert (again.admits, again.memory) == ((), plan.memory)
    ledger.release(PodUID("n1-3"))
    plan = decide(ledger, [LARGE, *SMALL], PATIENCE + 20, plan.memory)
    assert admitted(plan) == ["large"]
    assert [slot.index for slot in plan.admits[0].placement.slots] == [2, 3]


def test_it_does_not_move_to_what_is_reserved_for_somebody_else() -> None:
    ledger = occupied(n1=(1000, 1000, 1000, 1000))
    other = pod("other", whole(2), "a")
    name = NodeName("n1")
    kept = (
        Reservation(PodUID("large"), name, (0, 1), 0.0),
        Reservation(PodUID("other"), name, (2, 3), 0.0),
    )
    ledger.release(PodUID("n1-2"))
    blocked = {PodUID("large"): 0.0, PodUID("other"): 0.0}
    plan = decide(ledger, [LARGE, other], 10.0, Memory(blocked, kept))
    assert plan.memory.reservations == kept


@pytest.mark.parametrize(
    ("going", "devices"),
    [("n1-0", (0,)), ("", (1,)), ("n1-1", (1,)), ("n1-2", (1,))],
    ids=["for it", "nobody", "for nobody", "with others beside"],
)
def test_it_stays_where_somebody_was_asked_to_go_for_it(
    going: str, devices: tuple[int, ...]
) -> None:
    ledger = occupied(n1=(1000, 500, 250))
    beside = pod("beside", share(750), "b")
    ledger.bind(beside, place("n1", (2, 750, 0)))
    running = tuple(
        Running(each.pod, each.placement, 0.0, ending=each.pod.name == going)
        for each in ledger.holdings.values()
    )
    kept = Reservation(PodUID("one"), NodeName("n1"), (0,), 0.0)
    memory = Memory({PodUID("one"): 0.0}, (kept,))
    one = pod("one", whole(), "a")
    snapshot = replace(ledger.snapshot(tenants=[A, B]), memory=memory, running=running)
    (moved,) = run_cycle(snapshot, [one], 1.0, PROFILE).memory.reservations
    assert moved == replace(kept, devices=devices)


def moved(ledger: Ledger, large: Pod, *devices: int) -> tuple[int, ...]:
    """The devices of n1 that are kept in the next round, if these were before."""
    running = tuple(
        Running(each.pod, each.placement, 0.0) for each in ledger.holdings.values() if each.bound
    )
    kept = Reservation(large.uid, NodeName("n1"), devices, 0.0)
    snapshot = ledger.snapshot(tenants=[A, B])
    snapshot = replace(snapshot, memory=Memory({large.uid: 0.0}, (kept,)), running=running)
    plan = run_cycle(snapshot, [large], 1.0, PROFILE)
    assert admitted(plan) == []
    (found,) = plan.memory.reservations
    assert found == replace(kept, devices=found.devices)
    return found.devices


def test_among_equals_it_stays() -> None:
    assert moved(occupied(n1=(1000, 1000, 1000, 1000, 500)), LARGE, 2, 3) == (2, 4)


def test_a_card_that_a_stranger_uses_is_none_to_move_to() -> None:
    cards = [device("n1/0"), device("n1/1"), device("n1/2", foreign_mib=4000), device("n1/3")]
    ledger = Ledger([node("n1", cards)])
    for index in (0, 1, 3):
        ledger.bind(pod(f"b{index}", whole(), "b"), place("n1", (index, 1000, 16_000)))
    assert moved(ledger, LARGE, 0, 1) == (0, 1)
    ledger.release(PodUID("b3"))
    assert moved(ledger, LARGE, 0, 1) == (0, 3)


def test_a_card_with_too_little_memory_left_is_not_free() -> None:
    ledger = Ledger([node("n1", 2)])
    ledger.bind(pod("b0", share(600), "b"), place("n1", (0, 600, 9_600)))
    ledger.bind(pod("b1", by_memory(10_000), "b"), place("n1", (1, 400, 10_000)))
    # 100 milli are missing on the one, 1,600 MiB on the other, which is more of a card.
    assert moved(ledger, pod("wanted", by_memory(8_000), "a"), 0) == (0,)


def test_it_stays_where_what_it_lacks_beside_devices_may_end() -> None:
    ledger = Ledger([node("n1", 4)])
    for index in (0, 1):
        busy = pod(f"b{index}", whole(cpu_milli=25_000), "b")
        ledger.bind(busy, place("n1", (index, 1000, 16_000)))
    large = pod("large", whole(2, cpu_milli=40_000), "a")
    assert moved(ledger, large, 0, 1) == (0, 1)
    ledger.release(PodUID("b0"))
    ledger.bind(pod("b2", whole(), "b"), place("n1", (2, 1000, 16_000)))
    assert moved(ledger, pod("large", whole(3), "a"), 0, 1, 2) == (0, 1, 3)


def test_other_cards_of_the_node_stay_open() -> None:
    ledger = occupied(n1=(1000, 500, 500, 750))
    plan = after_patience(ledger, LARGE)
    (reserved,) = plan.memory.reservations
    assert reserved.devices == (1, 2)
    quarters = backlog("b", 2, 250)
    plan = decide(ledger, [LARGE, *quarters], PATIENCE + 1, plan.memory)
    assert [(each.pod.name, each.placement.slots[0].index) for each in plan.admits] == [("b0", 3)]


def test_a_tenant_that_has_its_due_has_nothing_reserved() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 1000))
    ours = [replace(each, tenant=TenantName("b")) for each in (LARGE, *SMALL)]
    plan = after_patience(ledger, pod("a0", whole(), "a"), *ours)
    assert [each.uid for each in plan.memory.reservations] == ["a0"]


def test_a_sixth_of_all_devices_is_reserved_at_once_at_most() -> None:
    ledger = occupied(**{f"n{number}": (1000, 1000) for number in range(6)})
    several = [tenant(f"t{number}") for number in range(3)]
    pods = [pod(f"p{number}", whole(), f"t{number}") for number in range(3)]
    memory = Memory()
    for at in (0.0, PATIENCE):
        snapshot = replace(ledger.snapshot(tenants=[B, *several]), memory=memory)
        memory = run_cycle(snapshot, pods, at, PROFILE).memory
    assert len(memory.reservations) == 2


@pytest.mark.parametrize("why", ["broken", "gone", "not pending"])
def test_a_reservation_that_has_become_useless_ends(why: str) -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 500))
    plan = after_patience(ledger, LARGE)
    if why == "broken":
        cards = [device("n2/0"), device("n2/1", healthy=False)]
        ledger.put_nodes([node("n2", cards)])
    if why == "gone":
        ledger.drop_node(NodeName("n2"))
    pending = [] if why == "not pending" else [LARGE]
    later = decide(ledger, pending, PATIENCE + 1, plan.memory)
    assert [each.node for each in later.memory.reservations] == (["n1"] if pending else [])


def test_who_waits_for_that_is_told() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 500))
    plan = after_patience(ledger, LARGE)
    told = verdict(plan, "large")
    assert told.reason is Reason.NO_ROOM
    assert told.detail == "it needs 2 GPUs; GPUs 0 and 1 of n2 are kept for it as they drain"


def test_a_node_is_given_up_after_an_hour_for_the_next_one() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 500))
    plan = after_patience(ledger, LARGE)
    plan = decide(ledger, [LARGE], PATIENCE + MOST_SECONDS - 1, plan.memory)
    assert len(plan.memory.reservations) == 1
    end = PATIENCE + MOST_SECONDS
    plan = decide(ledger, [LARGE], end, plan.memory)
    assert [each.node for each in plan.memory.reservations] == ["n1"]
    # Once all were given up it begins anew.
    for _ in range(2):
        end += MOST_SECONDS
        plan = decide(ledger, [LARGE], end, plan.memory)
    assert [each.node for each in plan.memory.reservations] == ["n2"]


def test_where_cpu_is_what_lacks_no_device_stands_idle_for_it() -> None:
    ledger = Ledger([node("n1", 2)])
    busy = pod("busy", replace(share(500), cpu_milli=60_000), "b")
    ledger.bind(busy, Placement(NodeName("n1"), (Slot(0, ledger.columns.uuids[0][0], 500, 8_000),)))
    hungry = pod("hungry", replace(whole(2), cpu_milli=32_000), "a")
    plan = after_patience(ledger, hungry)
    assert len(plan.memory.reservations) == 1
    # The share ends, yet somebody without a GPU takes the CPU.
    ledger.release(busy.uid)
    ledger.bind(pod("cpu", cpu_only(60_000), "b"), Placement(NodeName("n1")))
    plan = decide(ledger, [hungry], PATIENCE + 1, plan.memory)
    assert plan.memory.reservations == ()
    plan = decide(ledger, [hungry], 3 * PATIENCE, plan.memory)
    assert plan.memory.reservations == ()


def reserved_for(plan: Plan) -> dict[str, str]:
    return {str(each.uid): str(each.node) for each in plan.memory.reservations}


def test_of_two_on_one_node_neither_starts_on_what_the_other_one_waits_for() -> None:
    ledger = occupied(n1=(1000, 1000, 1000))
    pair, single = LARGE, pod("single", whole(), "c")
    tenants = [A, B, tenant("c", created=2.0)]
    memory = Memory()
    for at in (0.0, PATIENCE):
        snapshot = replace(ledger.snapshot(tenants=tenants), memory=memory)
        memory = run_cycle(snapshot, [pair, single], at, PROFILE).memory
    by_uid = {each.uid: each.devices for each in memory.reservations}
    # More than half, so the other one waits until the first one runs.
    assert by_uid == {"large": (0, 1)}
    both = (*memory.reservations, Reservation(PodUID("single"), NodeName("n1"), (2,), PATIENCE))
    ledger.release(PodUID("n1-0"))
    snapshot = replace(ledger.snapshot(tenants=tenants), memory=Memory(memory.blocked, both))
    plan = run_cycle(snapshot, [single, pair], PATIENCE + 1, PROFILE)
    assert admitted(plan) == []
    assert reserved_for(plan) == {"large": "n1", "single": "n1"}


def test_who_has_waited_longest_is_not_kept_waiting_by_reservations_of_those_behind_it() -> None:
    ledger = occupied(n1=(1000, 1000, 1000, 1000))
    small = pod("small", whole(), "c")
    tenants, memory = [A, B, tenant("c", created=2.0)], Memory({PodUID("small"): 0.0})
    wide = pod("wide", whole(3), "a")

    def next_round(at: float, *pods: Pod) -> Plan:
        snapshot = replace(ledger.snapshot(tenants=tenants), memory=memory)
        return run_cycle(snapshot, pods, at, PROFILE)

    memory = next_round(PATIENCE, wide, small).memory
    assert [each.uid for each in memory.reservations] == ["small"]
    another = pod("another", whole(), "c")
    memory = next_round(3 * PATIENCE, wide, another).memory
    # Its cards are more than may be reserved beside those of the small one; that one is gone.
    assert [each.uid for each in memory.reservations] == ["wide"]


def test_a_reserved_pod_that_starts_elsewhere_leaves_its_devices_to_others_at_once() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 500), n3=(1000, 1000))
    plan = after_patience(ledger, LARGE)
    assert reserved_for(plan) == {"large": "n2"}
    for uid in ("n3-0", "n3-1"):
        ledger.release(PodUID(uid))
    plan = decide(ledger, [LARGE, *SMALL], PATIENCE + 1, plan.memory)
    places = {each.pod.name: each.placement.node for each in plan.admits}
    assert places == {"large": "n3", "b0": "n2"}
    assert plan.memory.reservations == ()


def test_the_patience_of_who_was_admitted_goes_on_should_that_fail() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 500))
    plan = after_patience(ledger, LARGE)
    for uid in ("n2-0", "n2-1"):
        ledger.release(PodUID(uid))
    plan = decide(ledger, [LARGE], PATIENCE + 1, plan.memory)
    assert admitted(plan) == ["large"]
    assert plan.memory.blocked == {"large": 0.0}


def test_who_waits_behind_reserved_devices_is_told() -> None:
    ledger = occupied(n1=(1000, 1000), n2=(1000, 750))
    quarter = pod("quarter", share(250), "c")
    tenants, memory = [A, B, tenant("c", created=2.0)], Memory({PodUID("large"): 0.0})
    for at in (PATIENCE, PATIENCE + 1):
        snapshot = replace(ledger.snapshot(tenants=tenants), memory=memory)
        pods = [LARGE] if at == PATIENCE else [LARGE, quarter]
        plan = run_cycle(snapshot, pods, at, PROFILE)
        memory = plan.memory
    assert verdict(plan, "quarter").detail.endswith(
        "; 0.25 more are kept for who has waited longer; ask for less or wait for pods to end"
    )


def test_a_tenant_in_debt_lets_nobody_pass_its_first_only_while_others_are_owed() -> None:
    # b is in debt: it holds three of the four cards, and its share is half of them.
    ledger = occupied(n1=(0, 1000), n2=(1000, 1000))
    large = pod("large", whole(2), "b")
    small = pod("small", whole(), "b", created=1.0)
    waited = Memory({PodUID("large"): 0.0})

    def plan_beside(*others: Pod) -> Plan:
        return decide(ledger, [large, small, *others], PATIENCE, waited)

    assert admitted(plan_beside()) == ["small"]
    owed = plan_beside(pod("pair", whole(2), "a"))
    assert admitted(owed) == []
    assert verdict(owed, "small").detail == (
        "lab/large has waited for long, and nothing of b passes it until the tenant is owed again"
    )
    assert verdict(owed, "large").detail.startswith("b has 3 of its due 2 GPUs")


def test_a_tenant_alone_has_devices_reserved_though_it_is_in_debt() -> None:
    ledger = occupied(n1=(1000, 500))
    ours = pod("ours", whole(2), "b")
    snapshot = replace(
        ledger.snapshot(tenants=[A, B], lags={TenantName("b"): -1e6, TenantName("a"): 1e6}),
        memory=Memory({PodUID("ours"): 0.0}),
    )
    plan = run_cycle(snapshot, [ours], PATIENCE, PROFILE)
    assert reserved_for(plan) == {"ours": "n1"}
