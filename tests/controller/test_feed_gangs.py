"""Pods that are of a gang by an object, from the watch to the round."""

from collections.abc import Callable
from typing import Any

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.gangowners import Membership, Owners
from scheduler.core.model.gangreader import gang_of, membership, resolve
from scheduler.core.model.gangs import Gang, Gathered
from scheduler.core.model.gangshapes import Part, Shape
from scheduler.core.model.ids import PodUID
from scheduler.core.model.verdicts import Reason
from tests.controller.feeding import HALF, World, bound, gated, versioned
from tests.support.builders import place

JSON = dict[str, Any]
NAME = "lab/Job:train/u"
OTHER = place("n2", (0, 500, 8_000))


class Objects:
    """What the one Job of these tests says, and the pods that were noted to be of it."""

    def __init__(self, says: Shape | str = "nobody knows yet") -> None:
        self.says, self.noted, self.owners = says, dict[PodUID, Membership](), Owners()

    def gang_of(self, pod: Any) -> Gang | None:
        return gang_of(pod, self.owners, lambda _: self.says)

    def gang(self, uid: PodUID) -> Gang | None:
        return resolve(self.noted[uid], self.says) if uid in self.noted else None

    def note(self, uid: PodUID, pod: Any) -> None:
        try:
            found = membership(pod, self.owners)
        except InvalidRequest:
            found = None
        if isinstance(found, Membership):
            self.noted[uid] = found

    def forget(self, uid: PodUID) -> None:
        self.noted.pop(uid, None)


def size(pods: int) -> Shape:
    return Shape((Part("", pods),))


def of_job(pod: JSON) -> JSON:
    pod["metadata"]["annotations"][names.GANG_SIZE] = "all"
    job = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u"}
    pod["metadata"]["ownerReferences"] = [{**job, "controller": True}]
    return pod


def told(objects: Objects, world: World) -> Callable[[Shape | str], None]:
    def tell(says: Shape | str) -> None:
        objects.says = says
        world.feed.retell_gangs(list(objects.noted))

    return tell


def world_of(objects: Objects) -> tuple[World, Callable[[Shape | str], None]]:
    world = World(gangs=objects)
    return world, told(objects, world)


def verdict_on(world: World, uid: str) -> Reason:
    return world.controller.queue.verdicts[PodUID(uid)].reason


async def test_nobody_starts_until_the_size_is_known_and_all_are_there() -> None:
    world, tell = world_of(Objects())
    world.see(of_job(gated("p")), of_job(gated("q")))
    await world.controller.round()
    assert world.held == {}
    assert verdict_on(world, "p") is Reason.GANG_UNKNOWN
    tell(size(3))
    await world.controller.round()
    assert world.held == {}
    world.see(of_job(gated("r")))
    await world.controller.round()
    assert set(world.held) == {"p", "q", "r"}


async def test_one_that_shrinks_is_not_broken_and_one_that_grows_goes_on() -> None:
    world, tell = world_of(Objects(size(2)))
    world.see(of_job(bound("p", "n1", HALF)), of_job(bound("q", "n2", OTHER)))
    await world.controller.round()
    tell(size(1))
    world.see(of_job(bound("q", "n2", OTHER)), event="DELETED")
    for says in (size(1), size(4)):
        tell(says)
        for _ in range(3):
            await world.controller.round()
            world.clock.time += 200.0
    assert world.hands.stopped == []
    gang = world.ledger.holdings[PodUID("p")].pod.gang
    assert gang == Gang(NAME, 1, once=True)


async def test_what_was_known_of_who_runs_stays_known_when_its_object_is_gone() -> None:
    world, tell = world_of(Objects(size(2)))
    world.see(of_job(bound("p", "n1", HALF)), of_job(bound("q", "n2", OTHER)))
    tell("there is none")
    gathered = world.controller.snapshot().gathered
    assert gathered == {NAME: Gathered(frozenset({PodUID("p"), PodUID("q")}))}
    assert {each.pod.gang for each in world.ledger.holdings.values()} == {Gang(NAME, 2, once=True)}


async def test_who_runs_is_of_a_gang_once_its_object_is_known() -> None:
    world, tell = world_of(Objects())
    world.see(of_job(bound("p", "n1", HALF)), of_job(bound("q", "n2", OTHER)))
    tell(size(2))
    assert {each.pod.gang for each in world.ledger.holdings.values()} == {Gang(NAME, 2, once=True)}
    # By its object it is of none.
    tell(Shape((), together=False))
    assert {each.pod.gang for each in world.ledger.holdings.values()} == {None}
    assert world.controller.snapshot().gathered == {}


async def test_members_that_succeeded_before_their_object_was_known_are_not_missing() -> None:
    world, tell = world_of(Objects())
    ended = {**of_job(bound("p", "n1", HALF)), "status": {"phase": "Succeeded"}}
    world.see(ended, of_job(bound("q", "n2", OTHER)))
    assert world.controller.snapshot().gathered[NAME].finished == 0
    tell("there is none")
    tell(size(2))
    found = world.controller.snapshot().gathered
    assert found == {NAME: Gathered(frozenset({PodUID("q")}), finished=1)}


async def test_nothing_of_pods_that_are_gone_is_kept() -> None:
    objects = Objects()
    world, tell = world_of(objects)
    ended = {**of_job(bound("p", "n1", HALF)), "status": {"phase": "Succeeded"}}
    world.see(ended, of_job(bound("q", "n2", OTHER)), of_job(gated("r")))
    world.see(ended, of_job(bound("q", "n2", OTHER)), of_job(gated("r")), event="DELETED")
    assert objects.noted == {}
    world.see(ended)
    world.feed.replace([])
    assert objects.noted == {}
    tell(size(2))
    assert world.controller.snapshot().gathered == {}


async def test_objects_of_pods_without_a_gpu_are_nobodys_business() -> None:
    objects = Objects()
    world, _ = world_of(objects)
    running = of_job(bound("p", "n1"))
    del running["metadata"]["annotations"][names.GPU_FRACTION]
    world.see(running, of_job(gated("q", None)))
    assert objects.noted == {}


def of_job_set(pod: JSON, job: str) -> JSON:
    labels = {"jobset-name": "train", "jobset-uid": "s", "restart-attempt": "0"}
    pod["metadata"]["labels"] = {f"jobset.sigs.k8s.io/{key}": text for key, text in labels.items()}
    made_by = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": job}
    pod["metadata"]["ownerReferences"] = [{**made_by, "controller": True}]
    return pod


async def test_after_a_take_over_a_job_of_several_that_has_ended_is_not_missing() -> None:
    world, _ = world_of(Objects(size(3)))
    ended = {**of_job_set(bound("p", "n1", HALF), "a"), "status": {"phase": "Succeeded"}}
    world.feed.replace([ended, of_job_set(bound("q", "n2", OTHER), "b")])
    await world.controller.round()
    # The third one failed, and is made again: it alone is enough.
    world.see(of_job_set(gated("r"), "b"))
    await world.controller.round()
    assert set(world.held) == {"q", "r"}


async def test_who_runs_keeps_what_it_is_counted_for_whatever_becomes_of_its_owner() -> None:
    asked = of_job(bound("p", "n1", HALF, preemptible="false", **{"max-runtime": "5m"}))
    asked["metadata"]["ownerReferences"] = []
    objects = Objects(size(1))
    for edited in (False, True):
        world, _ = world_of(objects)
        if edited:
            world.see(of_job(bound("p", "n1", HALF)))
        world.see(versioned(asked, 2, generation=2))
        pod = world.ledger.holdings[PodUID("p")].pod
        assert (pod.request.devices, pod.request.milli, pod.problem) == (1, 500, "")
        if not edited:
            assert (pod.preemptible, pod.max_runtime, pod.gang) == (False, 300.0, None)
