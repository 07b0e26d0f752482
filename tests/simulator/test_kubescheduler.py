"""The stand-in calls an extender as kube-scheduler does, and takes its answers as it does."""

import asyncio
from typing import Any

import httpx
import pytest

from scheduler.core.model.ids import NodeName
from scheduler.simulator.apierrors import NotFound
from scheduler.simulator.kubescheduler import Tally
from tests.simulator.scripted import NONE, World, play
from tests.support.builders import node

ERROR = {"NodeNames": None, "Error": "no inventory"}


def small() -> list[Any]:
    return [node("n1", cpu_milli=1_000), node("n2", cpu_milli=1_000)]


def test_a_pinned_pod_is_filtered_on_its_node_alone_and_bound_without_scores() -> None:
    async def story(world: World) -> None:
        world.start("p", "n2")
        await asyncio.sleep(1.0)
        assert world.extender.calls == [
            (0.0, "filter", "p", ("n2",)),
            (0.0, "bind", "p", ("n2",)),
        ]
        assert world.where("p") == "n2"
        assert world.scheduler.tally == Tally(filters=1, binds=1, bound=1)

    play(story)


def test_scores_are_asked_for_only_if_more_than_one_node_is_left() -> None:
    async def story(world: World) -> None:
        world.start("p")
        await asyncio.sleep(1.0)
        world.start("q")
        await asyncio.sleep(1.0)
        assert [call[1:] for call in world.extender.calls] == [
            ("filter", "p", ("n1", "n2")),
            ("prioritize", "p", ("n1", "n2")),
            ("bind", "p", ("n2",)),
            ("filter", "q", ("n1", "n2")),
            ("bind", "q", ("n1",)),
        ]

    play(
        story,
        filter=[None, {"NodeNames": ["n1"], "Error": ""}],
        prioritize=[[{"Host": "n1", "Score": 1}, {"Host": "n2", "Score": 10}]],
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="internal error"),
        httpx.ReadTimeout("too slow"),
        httpx.Response(200, text="no JSON"),
        {"not": "a list"},
        [{"Host": "n1"}],
        [17],
        httpx.Response(200, text="null"),
    ],
)
def test_without_usable_scores_it_goes_on_with_what_filter_left(answer: Any) -> None:
    async def story(world: World) -> None:
        world.start("p")
        await asyncio.sleep(1.0)
        assert world.where("p") == "n1"
        assert world.scheduler.tally.errors == 0

    play(story, prioritize=[answer])


def test_the_next_filter_comes_before_a_bind_is_answered() -> None:
    async def story(world: World) -> None:
        for name in ("p", "q", "r"):
            world.start(name, "n1")
        await asyncio.sleep(0.1)
        assert [call for call in world.extender.verbs if call[0] == "filter"] == [
            ("filter", "p"), ("filter", "q"), ("filter", "r"),
        ]  # fmt: skip
        assert [call for call in world.extender.verbs if call[0] == "bind"] == [
            ("bind", "p"), ("bind", "q"), ("bind", "r"),
        ]  # fmt: skip
        assert world.extender.verbs.index(("filter", "q")) < 3
        assert [world.where(name) for name in ("p", "q", "r")] == [None] * 3
        assert world.scheduler.tally.bound == 0
        await asyncio.sleep(1.0)
        assert [world.where(name) for name in ("p", "q", "r")] == ["n1"] * 3

    play(story)


def test_filters_come_one_after_the_other() -> None:
    async def story(world: World) -> None:
        world.extender.filter_seconds = 2.0
        world.start("p", "n1")
        world.start("q", "n1")
        await asyncio.sleep(10.0)
        assert world.extender.times("filter", "p") == [0.0]
        assert world.extender.times("filter", "q") == [2.0]
        assert world.extender.times("bind", "p") == [2.0]

    play(story)


def test_a_nominated_node_is_asked_about_first_and_only_then_all() -> None:
    async def story(world: World) -> None:
        world.cluster.ungate(world.create("p"), nominated="n2")
        world.cluster.ungate(world.create("q"), nominated="n2")
        world.cluster.ungate(world.create("r"), nominated="gone")
        await asyncio.sleep(1.0)
        filters = [(pod, names) for _, verb, pod, names in world.extender.calls if verb == "filter"]
        assert filters == [
            ("p", ("n2",)), ("q", ("n2",)), ("q", ("n1", "n2")), ("r", ("n1", "n2")),
        ]  # fmt: skip
        assert (world.where("p"), world.where("q")) == ("n2", "n1")

    play(story, filter=[None, NONE, {"NodeNames": ["n1"], "Error": ""}])


@pytest.mark.parametrize(
    "answer",
    [
        ERROR,
        httpx.Response(500, json={"NodeNames": ["n1"], "Error": ""}),
        httpx.Response(204),
        httpx.Response(200, text=""),
        httpx.Response(200, text="<html>"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("too slow"),
        ["n1"],
        "n1",
        {"NodeNames": ["a node that was not offered"], "Error": ""},
        {"NodeNames": 17, "Error": ""},
        {"NodeNames": [["n1"]], "Error": ""},
    ],
)
def test_an_error_of_filter_is_tried_again_after_a_second(answer: Any) -> None:
    async def story(world: World) -> None:
        world.start("p", "n1")
        await asyncio.sleep(5.0)
        assert world.extender.times("filter", "p") == [0.0, 1.0]
        assert world.where("p") == "n1"
        assert world.scheduler.tally == Tally(filters=2, binds=1, bound=1, errors=1)

    play(story, filter=[answer])


def test_errors_are_tried_again_after_1_2_4_8_and_then_every_10_seconds() -> None:
    async def story(world: World) -> None:
        world.start("p", "n1")
        await asyncio.sleep(50.0)
        assert world.extender.times("filter", "p") == [0.0, 1.0, 3.0, 7.0, 15.0, 25.0, 35.0, 45.0]
        assert world.where("p") == "n1"

    play(story, filter=[ERROR] * 7)


def test_a_pod_that_is_deleted_is_not_tried_again() -> None:
    async def story(world: World) -> None:
        uid = world.start("p", "n1")
        await asyncio.sleep(0.5)
        world.cluster.delete(uid)
        await asyncio.sleep(60.0)
        assert world.extender.verbs == [("filter", "p")]

    play(story, filter=[ERROR])


@pytest.mark.parametrize("answer", [NONE, {"NodeNames": None}, {}])
def test_without_a_node_a_pod_is_set_aside_until_an_assigned_pod_changes(answer: Any) -> None:
    async def story(world: World) -> None:
        other = world.start("other", "n2")
        await asyncio.sleep(1.0)
        world.start("p", "n1")
        await asyncio.sleep(1000.0)
        assert world.extender.times("filter", "p") == [1.0]
        # A pod without a node is no reason to look again, whatever becomes of it.
        world.cluster.delete(world.create("gated"))
        await asyncio.sleep(1.0)
        assert world.extender.times("filter", "p") == [1.0]
        world.cluster.set_phase(other, "Succeeded")
        await asyncio.sleep(1.0)
        assert world.extender.times("filter", "p") == [1.0, 1002.0]
        assert world.where("p") == "n1"
        assert world.scheduler.tally.unschedulable == 1

    play(story, filter=[None, answer])


def test_a_change_while_filter_is_asked_is_not_missed() -> None:
    async def story(world: World) -> None:
        other = world.start("other", "n2")
        await asyncio.sleep(1.0)
        world.extender.filter_seconds = 4.0
        world.start("p", "n1")
        await asyncio.sleep(2.0)
        world.cluster.delete(other)
        await asyncio.sleep(20.0)
        assert world.extender.times("filter", "p") == [1.0, 5.0]
        assert world.where("p") == "n1"

    play(story, filter=[None, NONE])


def test_a_pod_without_cpu_for_it_never_comes_to_the_extender() -> None:
    async def story(world: World) -> None:
        first = world.start("p", "n1")
        world.start("q", "n1")
        await asyncio.sleep(5.0)
        assert ("filter", "q") not in world.extender.verbs
        world.cluster.set_phase(first, "Succeeded")
        await asyncio.sleep(5.0)
        assert world.where("q") == "n1"

    play(story, nodes=small())


def test_an_assumed_pod_takes_cpu_before_it_is_bound() -> None:
    async def story(world: World) -> None:
        world.start("p")
        world.start("q")
        await asyncio.sleep(0.1)
        filters = [(pod, names) for _, verb, pod, names in world.extender.calls if verb == "filter"]
        assert filters == [("p", ("n1", "n2")), ("q", ("n2",))]

    play(story, nodes=small())


@pytest.mark.parametrize(
    "answer",
    [{"Error": "no room"}, httpx.Response(500), httpx.ReadTimeout("too slow"), [], "x", 17],
)
def test_what_was_assumed_is_given_back_when_bind_fails_and_the_parked_are_told(
    answer: Any,
) -> None:
    async def story(world: World) -> None:
        world.start("p", "n1")
        world.start("q", "n1")
        await asyncio.sleep(0.9)
        # The one that failed is tried again after a second; the other went first meanwhile.
        assert world.where("q") == "n1"
        assert world.scheduler.tally.errors == 1
        await asyncio.sleep(30.0)
        assert world.extender.times("bind", "p") == [0.0]
        world.cluster.delete(world.cluster.get("default", "q")["metadata"]["uid"])
        await asyncio.sleep(1.0)
        assert world.where("p") == "n1"

    play(story, nodes=small(), bind=[answer])


def test_what_was_assumed_is_given_back_when_the_pod_goes_meanwhile() -> None:
    async def story(world: World) -> None:
        uid = world.start("p", "n1")
        await asyncio.sleep(0.1)
        world.cluster.delete(uid)
        world.start("q", "n1")
        await asyncio.sleep(5.0)
        assert world.where("q") == "n1"
        with pytest.raises(NotFound):
            world.where("p")
        assert world.scheduler.tally.errors == 0

    play(story, nodes=small())


def test_what_was_assumed_is_given_back_when_the_pod_is_bound_elsewhere() -> None:
    async def story(world: World) -> None:
        uid = world.start("p", "n1")
        await asyncio.sleep(0.1)
        world.cluster.bind("default", "p", uid=uid, node=NodeName("n2"), annotations={})
        await asyncio.sleep(5.0)
        assert world.extender.times("bind", "p") == [0.0]
        world.start("q", "n1")
        await asyncio.sleep(5.0)
        assert world.where("q") == "n1"

    play(story, nodes=small())


def test_a_bind_whose_answer_is_lost_is_left_alone_once_the_pod_has_its_node() -> None:
    async def story(world: World) -> None:
        uid = world.create("p")

        def stored_but_lost() -> Exception:
            world.cluster.bind("default", "p", uid=uid, node=NodeName("n1"), annotations={})
            return httpx.ReadTimeout("lost")

        world.extender.script["bind"] = [stored_but_lost]
        world.cluster.release(uid, NodeName("n1"))
        await asyncio.sleep(30.0)
        assert world.extender.verbs == [("filter", "p"), ("bind", "p")]
        world.start("q", "n1")
        await asyncio.sleep(1.0)
        assert ("filter", "q") not in world.extender.verbs

    play(story, nodes=small())


def test_a_pod_that_is_being_bound_is_not_filtered_again() -> None:
    async def story(world: World) -> None:
        world.extender.bind_seconds = 5.0
        uid = world.start("p", "n1")
        await asyncio.sleep(1.0)
        world.cluster.release(uid, NodeName("n1"))
        await asyncio.sleep(10.0)
        assert world.extender.verbs == [("filter", "p"), ("bind", "p")]

    play(story)


def test_a_gated_pod_and_one_of_another_scheduler_are_left_alone() -> None:
    async def story(world: World) -> None:
        world.create("gated")
        uid = world.create("foreign")
        world.cluster.get("default", "foreign")["spec"]["schedulerName"] = "default-scheduler"
        world.cluster.release(uid, NodeName("n1"))
        await asyncio.sleep(60.0)
        assert world.extender.calls == []

    play(story)


def test_pods_that_were_there_before_it_are_scheduled_and_accounted() -> None:
    async def story(world: World) -> None:
        # Whoever bound it: it takes its part of n1.
        uid = world.create("p")
        world.cluster.release(uid, NodeName("n2"))
        world.cluster.bind("default", "p", uid=uid, node=NodeName("n1"), annotations={})
        world.start("q")
        await asyncio.sleep(5.0)
        assert (world.where("p"), world.where("q")) == ("n1", "n2")
        assert world.extender.verbs == [("filter", "q"), ("bind", "q")]

    play(story, nodes=small())


def test_ended_it_waits_for_binds_under_way_and_for_no_backoff() -> None:
    async def main(world: World) -> World:
        world.extender.bind_seconds = 3.0
        world.start("p", "n1")
        await asyncio.sleep(0.1)
        world.start("q", "n1")
        await asyncio.sleep(0.1)
        return world

    world = play(main, filter=[None, ERROR])
    assert world.where("p") == "n1"
    assert world.scheduler.tally == Tally(filters=2, binds=1, bound=1, errors=1)
