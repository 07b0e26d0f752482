"""Carrying out a plan: what is certain is said, and what isn't is raised."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from scheduler.core.model.errors import NotLeading, ReleaseRefused
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Hold
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube.apply import KubeApplier
from scheduler.kube.errors import ServerFailed, Unreachable
from scheduler.kube.notices import Notices
from tests.kube.scripted import Scripted, refusal
from tests.kube.stored import JSON, FastClock, gated_json
from tests.support.builders import node, pod

PATH = "/api/v1/namespaces/lab/pods/p"
ADMIT = Admit(pod("p"), Placement(NodeName("a")), (NodeName("b"),))
STUCK = Verdict(Reason.STUCK)


@dataclass
class World:
    api: Scripted = field(default_factory=Scripted)
    pods: dict[PodUID, JSON] = field(default_factory=lambda: {PodUID("p"): gated_json("p")})
    fence: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.notices = Notices(
            self.api, pod_of=self.pods.get, clock=FastClock(), instance="serve-0"
        )
        self.applier = KubeApplier(
            self.api,
            pod_of=self.pods.get,
            nodes={each.name: each for each in (node("a", labels={"zone": "1"}), node("b"))},
            notices=self.notices,
            fence=self.fence,
            clock=FastClock(),
            grace_seconds=60,
        )

    async def told(self) -> list[str]:
        """Actions of the Events that come of it."""
        running = asyncio.create_task(self.notices.run())
        for _ in range(50):
            await asyncio.sleep(0)
        running.cancel()
        return [sent.body["action"] for sent in self.api.sent if "events" in sent.path]


def _changed(**changes: object) -> JSON:
    """Return the pod as it is a moment later."""
    found = gated_json("p")
    found["metadata"]["resourceVersion"] = "8"
    return found | changes


async def test_a_release_is_one_write() -> None:
    world = World()
    assert await world.applier.release(ADMIT)
    (sent,) = world.api.sent
    assert (sent.verb, sent.path) == ("PATCH", PATH)
    assert len(str(sent.body).split("matchFields")) == 3


async def test_a_pod_that_must_not_be_pinned_is_nominated_first() -> None:
    world = World()
    world.api.then("PATCH", _changed())
    assert await world.applier.release(Admit(pod("p", pinnable=False), ADMIT.placement))
    nominated, ungated = world.api.sent
    assert (nominated.path, ungated.path) == (f"{PATH}/status", PATH)
    assert nominated.body["status"] == {"nominatedNodeName": "a"}
    # The second write fits what the first one made.
    assert ungated.body["metadata"]["resourceVersion"] == "8"
    assert "affinity" not in ungated.body["spec"]


async def test_a_pod_that_is_released_already_is_not_written_again() -> None:
    world = World()
    world.pods[PodUID("p")]["spec"]["schedulingGates"] = [{"name": "other"}]
    assert await world.applier.release(ADMIT)
    assert not world.api.sent


@pytest.mark.parametrize(
    ("answer", "released"),
    [
        (refusal(404), False),
        (gated_json("p") | {"status": {"phase": "Failed"}}, False),
        (gated_json("p") | {"metadata": {"uid": "another"}}, False),
        (gated_json("p") | {"spec": {"nodeName": "a"}}, True),
    ],
    ids=["gone", "finished", "another", "bound"],
)
async def test_a_pod_that_the_watch_does_not_know_is_looked_up(
    answer: JSON | Exception, *, released: bool
) -> None:
    world = World(pods={})
    world.api.then("GET", answer)
    assert await world.applier.release(ADMIT) is released
    assert world.api.paths() == [PATH]


async def test_a_pod_that_went_meanwhile_is_gone() -> None:
    world = World()
    world.api.then("PATCH", refusal(404))
    assert not await world.applier.release(ADMIT)


@pytest.mark.parametrize("status", [400, 403, 422, 429])
async def test_a_pod_whose_release_is_refused_keeps_its_gate(status: int) -> None:
    world = World()
    world.api.then("PATCH", refusal(status, "the reason"))
    with pytest.raises(ReleaseRefused, match="the reason"):
        await world.applier.release(ADMIT)


@pytest.mark.parametrize("outcome", [refusal(500), Unreachable("gone")], ids=str)
async def test_a_release_whose_outcome_nobody_knows_is_no_refusal(outcome: Exception) -> None:
    world = World()
    world.api.then("PATCH", outcome)
    with pytest.raises((ServerFailed, Unreachable)):
        await world.applier.release(ADMIT)
    assert len(world.api.sent) == 1


async def test_a_pod_of_which_only_the_status_changed_is_released_all_the_same() -> None:
    world = World()
    fresh = _changed(status={"phase": "Pending", "conditions": [{"type": "x"}]})
    world.api.then("PATCH", refusal(409)).then("GET", fresh)
    assert await world.applier.release(ADMIT)
    assert world.api.sent[-1].body["metadata"]["resourceVersion"] == "8"


async def test_a_pod_that_changes_again_and_again_waits_for_another_round() -> None:
    world = World()
    world.api.then("PATCH", refusal(409), refusal(409, "modified")).then("GET", _changed())
    with pytest.raises(ReleaseRefused, match="modified"):
        await world.applier.release(ADMIT)
    assert len(world.api.paths("PATCH")) == 2


async def test_a_pod_that_is_another_than_was_planned_is_not_released() -> None:
    world = World()
    narrowed = _changed(spec=gated_json("p", nodeSelector={"zone": "2"})["spec"])
    world.api.then("PATCH", refusal(409)).then("GET", narrowed)
    with pytest.raises(ReleaseRefused, match="changed since"):
        await world.applier.release(ADMIT)
    assert len(world.api.paths("PATCH")) == 1


@pytest.mark.parametrize(
    ("fresh", "released"),
    [(refusal(404), False), (_changed(spec={"nodeName": "a"}), True)],
    ids=["gone", "released by an earlier try"],
)
async def test_a_conflict_tells_how_an_earlier_try_ended(
    fresh: JSON | Exception, *, released: bool
) -> None:
    world = World()
    world.api.then("PATCH", refusal(409)).then("GET", fresh)
    assert await world.applier.release(ADMIT) is released


async def test_nothing_is_written_once_another_replica_may_act() -> None:
    def fence() -> None:
        raise NotLeading("another replica may act by now")

    world = World(fence=fence)
    with pytest.raises(NotLeading):
        await world.applier.release(ADMIT)
    with pytest.raises(NotLeading):
        await world.applier.evict(ADMIT.pod, STUCK)
    assert not world.api.sent


async def test_a_stuck_pod_is_evicted_as_it_was_seen_and_people_are_told() -> None:
    world = World()
    assert await world.applier.evict(ADMIT.pod, STUCK)
    (sent,) = world.api.sent
    assert sent.path == f"{PATH}/eviction"
    assert sent.body["deleteOptions"] == {"preconditions": {"uid": "p", "resourceVersion": "7"}}
    assert await world.told() == ["Evict"]


async def test_a_pod_that_nothing_would_make_again_is_never_evicted() -> None:
    world = World()
    del world.pods[PodUID("p")]["metadata"]["ownerReferences"]
    assert not await world.applier.evict(ADMIT.pod, STUCK)
    assert not world.api.sent


@pytest.mark.parametrize("status", [403, 422, 429])
async def test_an_eviction_that_a_budget_or_a_policy_refuses_waits(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.api.then("POST", refusal(status, "the budget says no"))
    assert not await world.applier.evict(ADMIT.pod, STUCK)
    assert "the budget says no" in caplog.text
    assert not await world.told()


async def test_a_pod_that_is_gone_needs_no_eviction() -> None:
    world = World()
    world.api.then("POST", refusal(404))
    assert await world.applier.evict(ADMIT.pod, STUCK)
    world.pods.clear()
    world.api.then("GET", refusal(404))
    assert await world.applier.evict(ADMIT.pod, STUCK)


@pytest.mark.parametrize(
    ("found", "going"),
    [(_changed(spec={"nodeName": "a"}), False), (refusal(404), True)],
    ids=["bound meanwhile", "gone meanwhile"],
)
async def test_a_pod_that_changed_a_moment_ago_is_not_evicted(
    found: JSON | Exception, *, going: bool
) -> None:
    world = World()
    world.api.then("POST", refusal(409)).then("GET", found)
    assert await world.applier.evict(ADMIT.pod, STUCK) is going


async def test_an_eviction_whose_outcome_nobody_knows_is_raised() -> None:
    world = World()
    world.api.then("POST", Unreachable("gone"))
    with pytest.raises(Unreachable):
        await world.applier.evict(ADMIT.pod, STUCK)


OLD, NEW = pod("old", revision="web-1"), pod("p", revision="web-2")


def _running() -> JSON:
    found = gated_json("old")
    found["spec"].pop("schedulingGates")
    return found


def _replica_set(revision: str | None, deployment: str = "d") -> JSON:
    owners = [{"uid": deployment, "controller": True}] if deployment else []
    notes = {} if revision is None else {"deployment.kubernetes.io/revision": revision}
    return {"metadata": {"ownerReferences": owners, "annotations": notes}}


async def test_a_pod_makes_way_for_a_newer_revision_of_its_deployment() -> None:
    world = World()
    # As numbers, not as texts.
    world.api.then("GET", _replica_set("10"), _replica_set("9"), _running(), _running())
    assert await world.applier.make_way(OLD, NEW)
    replica_sets = "/apis/apps/v1/namespaces/lab/replicasets"
    assert world.api.paths()[:2] == [f"{replica_sets}/web-2", f"{replica_sets}/web-1"]
    assert world.api.paths("POST") == ["/api/v1/namespaces/lab/pods/old/eviction"]
    assert await world.told() == ["Evict"]


@pytest.mark.parametrize("change", ["it ends already", "the other one got on", "that one is gone"])
async def test_a_pod_makes_way_only_if_that_is_still_needed(change: str) -> None:
    world = World()
    old = _running()
    match change:
        case "it ends already":
            old["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
        case "the other one got on":
            world.pods[PodUID("p")]["spec"]["schedulingGates"] = []
        case "that one is gone":
            world.pods.clear()
    world.api.then("GET", _replica_set("2"), _replica_set("1"), old, old)
    assert not await world.applier.make_way(OLD, NEW)
    assert world.api.paths("POST") == []


STAYS: dict[str, tuple[JSON | Exception, JSON | Exception]] = {
    "an older revision waits": (_replica_set("1"), _replica_set("2")),
    "the same": (_replica_set("2"), _replica_set("2")),
    "of another Deployment": (_replica_set("2"), _replica_set("1", "other")),
    "of none": (_replica_set("2", ""), _replica_set("1", "")),
    "one without a number": (_replica_set("2"), _replica_set(None)),
    "one that is gone": (_replica_set("2"), refusal(404)),
}


@pytest.mark.parametrize(("newer", "older"), STAYS.values(), ids=STAYS.keys())
async def test_a_pod_makes_way_for_nothing_else(
    newer: JSON | Exception, older: JSON | Exception
) -> None:
    world = World()
    world.api.then("GET", newer, older, _running())
    assert not await world.applier.make_way(OLD, NEW)
    assert world.api.paths("POST") == []


async def test_holds_and_warnings_are_told() -> None:
    world = World()
    await world.applier.hold(Hold(ADMIT.pod, Verdict(Reason.NO_ROOM)))
    await world.applier.warn(pod("q"), Verdict(Reason.DEVICE_LOST))
    assert await world.told() == ["Hold", "Warn"]


RUNNING = gated_json("p") | {"spec": {"nodeName": "a", "terminationGracePeriodSeconds": 30}}
RECLAIMED = Verdict(Reason.RECLAIMED, "for b")


async def stop(world: World, *, past_budgets: bool = False) -> bool:
    return await world.applier.stop(ADMIT.pod, RECLAIMED, past_budgets=past_budgets)


@pytest.mark.parametrize(
    ("changes", "grace"),
    [
        ({}, None),
        ({"spec": {"terminationGracePeriodSeconds": 31_536_000}}, 60),
        ({"spec": {"terminationGracePeriodSeconds": 0}}, 1),
        ({"metadata": {"uid": "p", "deletionGracePeriodSeconds": 31_536_000}}, 60),
        ({"metadata": {"uid": "p", "deletionGracePeriodSeconds": 10}}, None),
    ],
    ids=["its own", "a year", "none", "a year already", "going already"],
)
async def test_a_pod_is_stopped_within_our_grace_period_and_people_are_told(
    changes: JSON, grace: int | None
) -> None:
    world = World()
    world.api.then("GET", RUNNING | changes)
    assert await stop(world)
    (sent,) = world.api.sent[1:]
    options = {} if grace is None else {"gracePeriodSeconds": grace}
    assert sent.path == f"{PATH}/eviction"
    assert sent.body["deleteOptions"] == {"preconditions": {"uid": "p"}, **options}
    assert await world.told() == ["Evict"]


async def test_past_its_budgets_a_pod_is_deleted_that_one_and_no_other() -> None:
    world = World()
    world.api.then("GET", RUNNING | {"spec": {"terminationGracePeriodSeconds": 600}})
    assert await stop(world, past_budgets=True)
    told, sent = world.api.sent[1:]
    (disrupted,) = told.body["status"]["conditions"]
    assert (told.path, told.body["metadata"]) == (f"{PATH}/status", {"uid": "p"})
    assert (disrupted["type"], disrupted["reason"]) == ("DisruptionTarget", "ReclaimedByEquipoise")
    assert (sent.verb, sent.path) == ("DELETE", PATH)
    assert sent.body["preconditions"] == {"uid": "p"}
    assert sent.body["gracePeriodSeconds"] == 60
    assert await world.told() == ["Evict"]


@pytest.mark.parametrize("status", [403, 422, 429])
async def test_a_pod_that_a_budget_or_a_policy_protects_is_not_stopped(status: int) -> None:
    world = World()
    world.api.then("GET", RUNNING).then("POST", refusal(status, "the budget says no"))
    assert not await stop(world)
    assert not await world.told()


async def test_a_pod_that_is_gone_needs_not_be_stopped() -> None:
    world = World()
    world.api.then("GET", refusal(404))
    assert await stop(world)
    world.api.then("GET", RUNNING, refusal(404)).then("POST", refusal(409))
    assert await stop(world)
    world.api.then("GET", RUNNING).then("DELETE", refusal(404))
    assert await stop(world, past_budgets=True)
    assert not await world.told()


async def test_a_pod_that_has_ended_by_itself_keeps_what_it_leaves() -> None:
    world = World()
    world.api.then("GET", RUNNING | {"status": {"phase": "Succeeded"}})
    assert await stop(world, past_budgets=True)
    assert world.api.paths() == [PATH]


async def test_a_condition_that_is_refused_does_not_keep_a_pod_from_its_deletion() -> None:
    world = World()
    world.api.then("GET", RUNNING).then("PATCH", refusal(422))
    assert await stop(world, past_budgets=True)
    assert world.api.paths("DELETE") == [PATH]
