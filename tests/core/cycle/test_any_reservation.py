"""Whatever runs and ends: reservations share no device, and move only to where less is left."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory, Reservation, Running
from tests.support.builders import node, place, pod, share, tenant, whole

PROFILE = Profile(policy="gpu-packing", reserve_after=600.0)
TENANTS = [tenant(name, created=float(number)) for number, name in enumerate("abc")]
CARDS = st.lists(st.sampled_from([250, 500, 1000]), min_size=6, max_size=8)
SIZES = st.lists(st.integers(1, 2), min_size=2, max_size=2)


def decide(ledger: Ledger, pending: Sequence[Pod], at: float, memory: Memory) -> Plan:
    running = tuple(
        Running(each.pod, each.placement, 0.0, ending=each.pod.name.startswith("going"))
        for each in ledger.holdings.values()
    )
    snapshot = replace(ledger.snapshot(tenants=TENANTS), memory=memory, running=running)
    return run_cycle(snapshot, pending, at, PROFILE)


def left(ledger: Ledger, reservation: Reservation) -> int:
    """Milli-GPU that are still to end on its devices, but for what was asked to go."""
    return sum(
        slot.milli
        for each in ledger.holdings.values()
        for slot in each.placement.slots
        if slot.index in reservation.devices and not each.pod.name.startswith("going")
    )


@settings(max_examples=150, deadline=None)
@given(cards=CARDS, sizes=SIZES, data=st.data())
def test_wherever_they_move(cards: list[int], sizes: list[int], data: st.DataObject) -> None:
    ledger = Ledger([node("n", len(cards))])
    for index, milli in enumerate(cards):
        kind = data.draw(st.sampled_from(["stays", "stays", "going"]))
        busy = pod(f"{kind}-{index}", share(milli), "c")
        ledger.bind(busy, place("n", (index, milli, 16 * milli)))
    large = [pod(f"large-{at}", whole(size), "ab"[at]) for at, size in enumerate(sizes)]
    order = data.draw(st.permutations(range(len(cards))))
    first = order[: sizes[0]], order[sizes[0] : sum(sizes)]
    before = {
        each.uid: Reservation(each.uid, NodeName("n"), tuple(sorted(devices)), 600.0)
        for each, devices in zip(large, first, strict=True)
    }
    memory = Memory({each.uid: 0.0 for each in large}, tuple(before.values()))
    for uid in data.draw(st.sets(st.sampled_from(sorted(ledger.holdings)), max_size=3)):
        ledger.release(uid)
    plan = decide(ledger, large, 610.0, memory)
    kept = plan.memory.reservations
    devices = [index for each in kept for index in each.devices]
    assert len(devices) == len(set(devices))
    for each in kept:
        assert left(ledger, each) <= left(ledger, before[each.uid])
        assert replace(each, devices=()) == replace(before[each.uid], devices=())
    if not plan.admits:
        for at in range(611, 616):
            assert decide(ledger, large, float(at), plan.memory).memory == plan.memory
