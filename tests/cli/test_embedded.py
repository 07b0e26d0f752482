"""Equipoise on the embedded cluster: how it ends, and that no crash costs more than time."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.cli.embedded import Embedded, embedded
from scheduler.core.model.errors import DeviceError, InvalidInput
from scheduler.core.model.ids import PodUID
from scheduler.device.driver import DeviceRecord
from scheduler.device.mock import MockDriver, MockNode, parse_nodes
from scheduler.settings import Settings
from scheduler.simulator import virtualtime
from tests.cli.crashes import POINTS, live
from tests.controller.hands import Eyes
from tests.support.builders import tenant

FAULTY = """
name: n1
cpu: 8
memory: 32Gi
devices:
  - {model: T4, memory: 16Gi, load: [{at: 0, utilisation: 0.25}, {at: 20, foreign: 4Gi}]}
  - {model: T4, memory: 16Gi, fault: {at: 10, lost: true}}
"""


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def world(machines: Sequence[MockNode] = ()) -> AbstractAsyncContextManager[Embedded]:
    return embedded(
        machines or parse_nodes(FAULTY),
        [tenant("lab")],
        settings=Settings(),
        clock=virtualtime.LoopClock(),
        watcher=Eyes(),
        observe=lambda _verb, _seconds: None,
        runs_for=lambda _pod: None,
        sockets=False,
    )


def manifest(name: str, fraction: str = "0.5") -> dict[str, object]:
    return {
        "metadata": {
            "name": name,
            "namespace": "lab",
            "annotations": {"equipoise.dev/gpu-fraction": fraction},
        },
        "spec": {"containers": [{"name": "main"}]},
    }


def test_a_pod_goes_from_its_gate_to_its_gpu() -> None:
    async def main() -> None:
        async with world() as running:
            uid = running.cluster.create(manifest("p"))["metadata"]["uid"]
            await asyncio.sleep(1.0)
            pod = running.cluster.get("lab", "p")
            assert (pod["spec"]["nodeName"], pod["status"]["phase"]) == ("n1", "Running")
            holding = running.ledger.holdings[PodUID(uid)]
            assert holding.bound
            assert pod["metadata"]["annotations"]["equipoise.dev/devices"] == (
                holding.placement.slots[0].uuid
            )
            tally = running.scheduler.tally
            assert (tally.filters, tally.binds, tally.bound, tally.errors) == (1, 1, 1, 0)
            running.cluster.delete(PodUID(uid))
            assert not running.ledger.holdings

    virtualtime.run(main())


def test_what_the_agents_report_reaches_the_ledger() -> None:
    async def main() -> list[tuple[int, int, bool]]:
        async with world() as running:
            seen = []
            for _ in range(3):
                await asyncio.sleep(11.0)
                (first, second) = running.controller.standing().devices
                seen.append((first.load, first.foreign_mib, second.healthy))
            return seen

    assert virtualtime.run(main()) == [(250, 0, False), (0, 4096, False), (0, 4096, False)]


def test_what_goes_wrong_in_the_block_is_raised_as_it_is() -> None:
    async def main() -> None:
        async with world():
            raise InvalidInput("can't listen there")

    with pytest.raises(InvalidInput, match="can't listen there"):
        virtualtime.run(main())


def test_what_crashes_beside_the_block_ends_it_with_its_own_error() -> None:
    class Lost(MockDriver):
        def inventory(self, at: float = 0.0) -> tuple[DeviceRecord, ...]:
            if at > 5.0:
                raise DeviceError("the driver went away; load it again")
            return super().inventory(at)

    async def main() -> None:
        (machine,) = parse_nodes(FAULTY)
        async with world([replace(machine, driver=Lost("n1", ()))]):
            await asyncio.sleep(100.0)

    with pytest.raises(DeviceError, match="went away"):
        virtualtime.run(main())


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("nth", [1, 4])
def test_a_crash_at_any_point_sells_nothing_twice_and_loses_nobody(point: str, nth: int) -> None:
    world = live([(point, nth)], seed=1)
    assert world.wrong == []
    assert world.restarts == 2


CRASHES = st.lists(st.tuples(st.sampled_from(POINTS), st.integers(1, 12)), max_size=5)
DELETIONS = st.lists(st.tuples(st.floats(0.0, 8.0), st.integers(0, 99)), max_size=4)


@settings(max_examples=25)
@given(CRASHES, DELETIONS, st.integers(0, 99), st.sampled_from([0.0, 0.5, 3.0, 40.0]))
def test_crashes_at_random_sell_nothing_twice_and_lose_nobody(
    crashes: list[tuple[str, int]],
    deletions: list[tuple[float, int]],
    seed: int,
    down_seconds: float,
) -> None:
    world = live(crashes, seed=seed, down_seconds=down_seconds, deletions=deletions)
    assert world.wrong == []
    assert world.placements() == {}
