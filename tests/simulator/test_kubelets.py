"""Kubelets: a bound pod runs for as long as it was told."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from scheduler.core.model.ids import NodeName, PodUID
from scheduler.simulator import virtualtime
from scheduler.simulator.cluster import EmbeddedCluster, Pod
from scheduler.simulator.kubelets import Kubelets

Story = Callable[[EmbeddedCluster], Coroutine[Any, Any, None]]
Seen = list[tuple[float, str, str]]


def seconds_of(pod: Pod) -> float | None:
    text: str = pod["metadata"]["annotations"]["seconds"]
    return float(text) if text else None


def play(story: Story, *, kubelets_first: bool = True) -> Seen:
    """Return (seconds, event, phase) of every write that a watch saw."""

    async def main() -> Seen:
        clock = virtualtime.LoopClock()
        cluster, seen = EmbeddedCluster(clock), Seen()

        def see(event: str, pod: Pod) -> None:
            seen.append((round(clock.now() - virtualtime.EPOCH, 6), event, pod["status"]["phase"]))

        cluster.watch(see)
        if kubelets_first:
            kubelets = Kubelets(cluster, clock, runs_for=seconds_of)
            await story(cluster)
        else:
            await story(cluster)
            kubelets = Kubelets(cluster, clock, runs_for=seconds_of)
        await asyncio.sleep(100.0)
        await kubelets.aclose()
        return seen

    return virtualtime.run(main())


def bound(cluster: EmbeddedCluster, name: str = "p", seconds: str = "5") -> PodUID:
    pod = cluster.create({"metadata": {"name": name, "annotations": {"seconds": seconds}}})
    uid = PodUID(pod["metadata"]["uid"])
    cluster.release(uid, NodeName("n1"))
    cluster.bind("default", name, uid=uid, node=NodeName("n1"), annotations={})
    return uid


PENDING = [(0.0, "ADDED", "Pending"), (0.0, "MODIFIED", "Pending"), (0.0, "MODIFIED", "Pending")]
RUNNING, DONE = (0.0, "MODIFIED", "Running"), (5.0, "MODIFIED", "Succeeded")


def test_a_bound_pod_runs_and_then_has_succeeded() -> None:
    async def story(cluster: EmbeddedCluster) -> None:
        bound(cluster)

    assert play(story) == [*PENDING, RUNNING, DONE]


def test_a_pod_that_is_not_bound_does_not_run() -> None:
    async def story(cluster: EmbeddedCluster) -> None:
        cluster.create({"metadata": {"name": "p", "annotations": {"seconds": "1"}}})

    assert play(story) == PENDING[:1]


def test_without_an_end_it_runs_until_somebody_deletes_it() -> None:
    async def story(cluster: EmbeddedCluster) -> None:
        uid = bound(cluster, seconds="")
        await asyncio.sleep(50.0)
        cluster.delete(uid)

    assert play(story) == [*PENDING, RUNNING, (50.0, "DELETED", "Running")]


def test_a_pod_that_is_deleted_while_it_runs_never_succeeds() -> None:
    async def story(cluster: EmbeddedCluster) -> None:
        uid = bound(cluster)
        await asyncio.sleep(2.0)
        cluster.delete(uid)

    assert play(story) == [*PENDING, RUNNING, (2.0, "DELETED", "Running")]


def test_a_pod_that_is_deleted_at_once_never_runs() -> None:
    async def story(cluster: EmbeddedCluster) -> None:
        cluster.delete(bound(cluster))

    assert play(story) == [*PENDING, (0.0, "DELETED", "Pending")]


def test_kubelets_that_come_later_run_what_is_bound_and_leave_what_has_ended() -> None:
    async def story(cluster: EmbeddedCluster) -> None:
        bound(cluster)
        cluster.set_phase(bound(cluster, "q"), "Failed")

    seen = play(story, kubelets_first=False)
    assert seen[-2:] == [RUNNING, DONE]
    assert [phase for _, _, phase in seen].count("Running") == 1
