"""Places for pods that are being created: given where nobody waits, kept a while, claimed once."""

import asyncio
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.controller.grants import Grants
from scheduler.core.model import names
from scheduler.core.model.ids import PodUID
from scheduler.core.model.plans import Grant
from scheduler.core.model.podreader import read_pod
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason
from scheduler.extender.service import ExtenderService
from scheduler.settings import Extender
from tests.controller.feeding import World, gated, pinned
from tests.support.builders import node, tenant
from tests.support.extenders import FakeApi, offer

OWNER = {"uid": "job-1", "kind": "Job", "name": "j", "controller": True}


class Quiet(World):
    """A world with grants; `willing`: what others have a say in."""

    willing: bool = True
    seconds: float | None = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.grants: Grants = self.controller.grants(
            self.planner.anywhere,
            seconds=self.seconds,
            may=lambda: self.willing and self.controller.active,
            watcher=self.eyes,
            tenant_of=self.tenant_of,
        )

    def claim(self, pod: Pod, stored: Any) -> bool:
        return self.grants.claim(pod, stored)

    def create(self, fraction: str = "0.5", *, group: str = "", **metadata: Any) -> Grant | None:
        """Ask for a place for a pod of a Job, as the webhook does."""
        pod = gated("p", fraction)
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1m"
        del pod["metadata"]["uid"], pod["metadata"]["name"], pod["spec"]["schedulingGates"]
        pod["metadata"] |= {"generateName": "p-", "ownerReferences": [OWNER], **metadata}
        if group:
            pod["spec"]["schedulingGroup"] = {"podGroupName": group}
        return self.grants.grant(pod)

    def stored(self, uid: str, grant: Grant, fraction: str = "0.5") -> dict[str, Any]:
        """Return the pod as it is stored then."""
        pod = pinned(uid, *grant.nodes, fraction=fraction)
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1m"
        pod["metadata"]["annotations"][names.GRANTED] = grant.token
        pod["metadata"]["ownerReferences"] = [OWNER]
        return pod


@pytest.fixture
def world() -> Quiet:
    return Quiet()


async def test_a_place_is_kept_until_its_pod_is_seen(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    (kept,) = world.held.values()
    assert kept == (given_.nodes[0], 500, False)
    world.see(world.stored("a", given_), event="ADDED")
    assert world.held == {"a": kept}
    assert world.eyes.decisions == [("admit", "")]


async def test_it_is_the_pods_without_a_time_limit(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    world.see(world.stored("a", given_))
    world.clock.time += 3_600
    await world.controller.round()
    assert set(world.held) == {"a"}


async def test_who_starts_together_with_others_gets_none_whatever_says_so(world: Quiet) -> None:
    assert world.create(labels={"jobset.sigs.k8s.io/jobset-name": "train"}) is None
    assert world.create(group="train") is None
    assert world.create() is not None


async def test_kube_scheduler_may_ask_for_it_first(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    service = ExtenderService(
        world.ledger,
        plan=world.planner,
        binder=FakeApi(),
        clock=world.clock,
        settings=Extender(),
        tenant_of=world.tenant_of,
        claim=world.grants.claim,
    )
    pod = world.stored("a", given_)
    assert list(service.filter(offer(pod, *given_.nodes)).names) == [given_.nodes[0]]
    before = world.held
    assert set(before) == {"a"}
    world.see(pod, event="ADDED")
    await world.controller.round()
    assert world.held == before
    world.clock.time += 3_600
    await world.controller.round()
    assert world.held == before


async def test_what_only_kube_scheduler_knows_of_is_not_kept_for_ever(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    pod = world.stored("a", given_)
    read = read_pod(pod, world.tenant_of)
    assert world.grants.claim(read, pod, world.clock.time + 30)
    world.clock.time += 30
    await world.controller.round()
    assert world.held == {}


async def test_without_its_pod_it_ends_after_a_while(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    world.clock.time += 10
    await world.controller.round()
    assert world.held == {}
    # It comes late: it is pinned, and finds a place there like any other that was released.
    world.see(world.stored("a", given_))
    assert set(world.held) == {"a"}


async def test_who_comes_as_another_than_was_asked_for_gets_a_place_of_its_own(
    world: Quiet,
) -> None:
    given_ = world.create("0.5")
    assert given_ is not None
    world.see(world.stored("a", given_, "0.25"))
    assert world.held["a"][1:] == (250, False)
    assert len(world.held) == 1


async def test_another_namespace_can_not_take_or_end_it(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    kept = set(world.held)
    other = world.stored("a", given_)
    other["metadata"]["namespace"] = "moved"
    world.see(other)
    assert world.grants.take_back(given_.token, other)
    assert kept < set(world.held)


async def test_a_second_look_gives_it_back(world: Quiet) -> None:
    given_ = world.create("2")
    assert given_ is not None
    assert world.grants.take_back(given_.token, world.stored("a", given_))
    assert world.held == {}
    assert world.create("2") is not None


async def test_whose_creations_are_refused_gets_none_for_a_while(world: Quiet) -> None:
    world.tenants = {"elsewhere": "moved"}
    assert world.create() is not None
    world.clock.time += 10
    await world.controller.round()
    assert world.create() is None
    assert world.create(namespace="elsewhere") is not None
    world.clock.time += 61
    assert world.create() is not None


async def test_one_tenant_has_only_so_many_open() -> None:
    world = Quiet()
    given_ = [world.create("0.01") for _ in range(300)]
    assert sum(each is not None for each in given_) == 256


async def test_nobody_passes_one_whose_verdict_may_be_out_of_date(world: Quiet) -> None:
    world.see(gated("large", "4"))
    await world.controller.round()
    assert world.controller.queue.verdicts[PodUID("large")].reason == Reason.NEVER_FITS
    world.controller.put_nodes([node("n3", 4)])
    assert world.create() is None
    await world.controller.round()
    assert world.held["large"][0] == "n3"


async def test_nor_while_a_round_is_under_way(world: Quiet) -> None:
    """Its plan doesn't know of what is given meanwhile, and caps are looked at in it only."""
    world.see(gated("never", "3"))
    await world.controller.round()
    seen: list[Grant | None] = []

    async def meanwhile() -> None:
        seen.append(world.create())

    world.controller.prepare_rounds(meanwhile)
    await world.controller.round()
    assert seen == [None]
    assert world.create() is not None


async def test_after_a_take_over_who_was_released_before_goes_first(world: Quiet) -> None:
    world.controller.set_active(False)
    for uid in ("a", "b", "c", "d"):
        world.see(pinned(uid, "n1", "n2", fraction="1"))
    world.controller.set_active(True)
    assert world.create("1") is None
    await world.controller.round()
    assert set(world.held) == {"a", "b", "c", "d"}


async def test_a_word_is_good_for_one_pod(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    world.see(world.stored("a", given_), world.stored("b", given_))
    assert {uid: milli for uid, (_, milli, _) in world.held.items()} == {"a": 500, "b": 500}


async def test_where_somebody_waits_everybody_waits_for_a_round(world: Quiet) -> None:
    world.see(gated("first"))
    assert world.create() is None
    await world.controller.round()
    assert world.create() is not None


@pytest.mark.parametrize("fraction", ["half", "3"])
async def test_who_would_take_no_gpu_holds_nobody_up(world: Quiet, fraction: str) -> None:
    world.see(gated("first", fraction))
    await world.controller.round()
    assert world.waiting == {"first"}
    assert world.create() is not None


async def test_one_whose_tenant_is_at_its_limit_holds_up_its_like(world: Quiet) -> None:
    """Else a pod that is made again would take the room that was made for it."""
    world.controller.set_tenants(
        [
            tenant("top"),
            replace(tenant("lab", "top"), limit=Fraction(1, 2)),
            tenant("beside", "top"),
            tenant("moved"),
        ]
    )
    world.tenants = {"near": "beside", "far": "moved"}
    world.see(gated("first", "1"))
    await world.controller.round()
    assert world.create() is None
    assert world.create(namespace="near") is None
    assert world.create(namespace="far") is not None


async def test_a_released_pod_without_a_place_goes_first(world: Quiet) -> None:
    world.see(pinned("lost", "n9"))
    await world.controller.round()
    assert world.create() is None


@pytest.mark.parametrize("fraction", ["half", "3", "0.5"])
async def test_what_has_no_room_or_makes_no_sense_gets_none(world: Quiet, fraction: str) -> None:
    full = [world.create("1") for _ in range(4)]
    assert all(full)
    assert world.create(fraction) is None
    assert len(world.held) == 4


async def test_a_pod_that_nothing_would_make_again_waits_for_a_round(world: Quiet) -> None:
    assert world.create(ownerReferences=[]) is None


async def test_nobody_gives_places_who_may_not(world: Quiet) -> None:
    world.willing = False
    assert world.create() is None
    world.willing = True
    world.controller.set_active(False)
    assert world.create() is None


async def test_it_can_be_switched_off() -> None:
    class Off(Quiet):
        seconds = None

    assert Off().create() is None


async def test_what_was_given_is_nothing_after_somebody_else_took_over(world: Quiet) -> None:
    given_ = world.create()
    assert given_ is not None
    world.controller.set_active(False)
    world.see(world.stored("a", given_))
    world.clock.time += 60
    world.controller.set_active(True)
    await world.controller.round()
    assert set(world.held) == {"a"}


async def test_a_round_soon_looks_at_what_everybody_holds(world: Quiet) -> None:
    await world.controller.round()
    running = asyncio.create_task(world.controller.run())
    try:
        world.create()
        # Without anything to look at, the next one comes after five seconds.
        async with asyncio.timeout(3):
            while not world.controller.plan.shares.get(tenant("lab").name):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait({running})


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["create", "arrive", "gated", "later", "round", "gone"]),
        st.sampled_from(["0.25", "0.5", "1"]),
        st.integers(0, 5),
    ),
    max_size=25,
)


@given(acts=ACTS)
def test_whatever_comes_of_it_no_gpu_is_sold_twice(acts: list[tuple[str, str, int]]) -> None:
    asyncio.run(_played(acts))


async def _played(acts: list[tuple[str, str, int]]) -> None:
    world, given_, there = Quiet(), [], list[str]()
    for number, (act, fraction, which) in enumerate(acts):
        match act:
            case "create":
                found = world.create(fraction)
                if found is not None:
                    given_.append((found, fraction))
            case "arrive" if given_:
                grant, asked = given_[which % len(given_)]
                there.append(f"p{number}")
                world.see(world.stored(there[-1], grant, asked))
            case "gated":
                there.append(f"p{number}")
                world.see(gated(there[-1], fraction))
            case "later":
                world.clock.time += 4.0 * which
            case "round":
                await world.controller.round()
            case "gone" if there:
                world.see(gated(there.pop(which % len(there))), event="DELETED")
        columns = world.ledger.columns
        assert (columns.room >= 0).all()
        assert sum(milli for _, milli, _ in world.held.values()) <= 4_000
    for uid in there:
        world.see(gated(uid), event="DELETED")
    world.clock.time += 100
    await world.controller.round()
    assert world.held == {}
