"""Scenarios on the live core, and how they are judged."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.verdicts import Reason
from scheduler.simulator.scenarios.judgement import differences
from scheduler.simulator.scenarios.runner import Outcome, run
from scheduler.simulator.scenarios.scenariofile import Scenario, read_scenarios
from tests.simulator.scenarios.test_scenariofile import (
    SCENARIOS,
    entry,
    node,
    pending,
    running,
    tenant,
)

KAI = {scenario.id: scenario for scenario in read_scenarios(SCENARIOS / "kai.json")}


@pytest.fixture
def one(tmp_path: Path) -> Any:
    def one(**changes: Any) -> Scenario:
        path = tmp_path / "one.json"
        path.write_text(json.dumps({"scenarios": [entry(**changes)]}))
        return read_scenarios(path)[0]

    return one


@pytest.mark.parametrize("name", list(KAI))
def test_a_scenario_of_kai_comes_out_as_expected(name: str) -> None:
    outcome = run(KAI[name])
    assert differences(outcome) == ()
    assert outcome.settled


def test_all_of_them_are_there() -> None:
    assert len(KAI) == 41


def test_what_is_expected_otherwise_is_told(one: Any) -> None:
    scenario = one(
        pending=[pending("p"), pending("q", gpus=None, fraction=0.5), pending("r", gpus=2)],
        running=[running("s", gpus=None, fraction=0.25)],
        nodes=[node("n1"), node("n2")],
        expected={
            "bound": {"p": "n2", "r": "*", "ghost": "*"},
            "still_running": {"s": "n2"},
            "stay_pending": ["q", "spirit"],
            "same_gpu": [["p", "s"]],
            "different_gpu": ["q", "s"],
        },
    )
    assert set(differences(run(scenario))) == {
        "p runs on n1, expected on n2",
        "ghost does not run, expected on any node",
        "q was bound to n1, expected to wait",
        "s runs on n1, expected on n2",
        "spirit is unknown, expected to wait",
        "p and s are not on one GPU, expected to be",
        "q and s are on one GPU, expected not to be",
    }


def test_nothing_expected_is_nothing_to_differ_from(one: Any) -> None:
    assert differences(run(one(pending=[pending("p")]))) == ()


def test_a_pod_of_an_unknown_tenant_is_held(one: Any) -> None:
    outcome = run(one(pending=[pending("p", tenant="nobody")]))
    assert outcome.pending["p"].reason is Reason.UNKNOWN_TENANT
    assert outcome.settled


def test_what_runs_is_counted_and_keeps_its_place(one: Any) -> None:
    outcome = run(
        one(
            running=[running("r", gpu_index=[1], gpus=None, fraction=0.5), running("s")],
            pending=[pending("p", gpus=None, fraction=0.5)],
        )
    )
    assert places(outcome) == {"r": [1], "s": [0], "p": [1]}
    assert outcome.still_running == ("r", "s")
    assert list(outcome.bound) == ["p"]
    assert outcome.shares == {"a": Fraction(2)}


def places(outcome: Outcome) -> dict[str, list[int]]:
    return {pod: [slot.index for slot in place.slots] for pod, place in outcome.places.items()}


def test_spread_takes_the_emptiest(one: Any) -> None:
    share = {"gpus": None, "fraction": 0.25}
    changes = {"running": [running("r", **share)], "pending": [pending("p", **share)]}
    assert places(run(one(**changes)))["p"] == [0]
    assert places(run(one(**changes, placement={"gpu": "spread"})))["p"] == [1]


def test_one_phase_runs_once(one: Any) -> None:
    outcome = run(one(mode="one_action", phase="allocate", pending=[pending("p")]))
    assert list(outcome.bound) == ["p"]
    needs = run(one(mode="one_action", phase="bin-packing")).needs
    assert needs == 'the phase "bin-packing"'


def test_the_phase_allocate_stops_nobody(one: Any) -> None:
    changes = {
        "running": [running("r"), running("s")],
        "pending": [pending("p", priority=100)],
    }
    assert run(one(**changes)).evicted == ("s",)
    assert run(one(**changes, mode="one_action", phase="allocate")).evicted == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"running": [running("r", gpus=3)]}, "needs 3 GPUs there"),
        ({"running": [running("r"), running("s"), running("t")]}, "needs 1 GPU there"),
        ({"running": [running("r", gpu_index=0), running("s", gpu_index=0)]}, "too little left"),
        ({"running": [running("r", gpus=2, gpu_index=[1, 1])]}, "names a device twice"),
        ({"running": [running("r", gpus=None, memory_mib=20_000)]}, "needs 20000 MiB there"),
        (
            {"running": [running("r", gpus=None, memory_mib=20_000, gpu_index=0)]},
            "too little left",
        ),
        ({"running": [running("r", gpus=2, gpu_index=1)]}, "needs 2 GPUs there"),
        ({"nodes": [node("n1", gpus=0)], "running": [running("r")]}, "needs 1 GPU there"),
    ],
)
def test_what_can_not_run_there_is_told(one: Any, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=r'scenario "one", pod ".": can\'t run on n1') as problem:
        run(one(**changes))
    assert says in str(problem.value)


def test_a_gang_that_is_not_all_there_waits(one: Any) -> None:
    outcome = run(one(pending=[pending("p", gang="g", gang_size=2)]))
    assert outcome.pending["p"].reason is Reason.GANG_INCOMPLETE


def test_limits_of_tenants_hold(one: Any) -> None:
    outcome = run(one(tenants=[tenant("a", limit=1)], pending=[pending("p"), pending("q")]))
    assert outcome.pending["q"].reason is Reason.OVER_LIMIT


def test_a_gang_of_one_or_none_is_a_plain_pod(one: Any) -> None:
    for plain in ({"gang": None}, {"gang": "g", "gang_size": 1}):
        outcome = run(one(pending=[pending("p", **plain)]))
        assert (outcome.needs, list(outcome.bound)) == ("", ["p"])


def test_an_unlimited_guarantee_is_one_of_all_there_is(one: Any) -> None:
    fixed = pending("p", gpus=2, preemptible=False)
    outcome = run(one(tenants=[tenant("a", guarantee=None)], pending=[fixed]))
    assert list(outcome.bound) == ["p"]


def test_a_pod_without_a_gpu_runs_beside_the_others(one: Any) -> None:
    outcome = run(one(running=[running("r", gpus=0)], pending=[pending("p", gpus=0)]))
    assert [place.slots for place in outcome.places.values()] == [(), ()]


def test_a_gang_without_a_size_is_all_that_name_it(one: Any) -> None:
    both = [pending("p", gang="g"), pending("q", gang="g", order=1)]
    assert set(run(one(pending=both)).bound) == {"p", "q"}
    busy = run(one(pending=both, running=[running("r")]))
    assert dict(busy.bound) == {}
