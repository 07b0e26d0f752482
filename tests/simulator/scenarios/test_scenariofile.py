"""Scenario files: read in full, or refused in one sentence that names the place."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.model.errors import InvalidFile
from scheduler.simulator.scenarios.scenariofile import read_scenarios

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def plain(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the object with changes; a change to None leaves the key out."""
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


def node(name: str, **changes: Any) -> dict[str, Any]:
    return plain({"name": name, "gpus": 2, "gpu_memory_mib": 16_000}, changes)


def tenant(name: str, **changes: Any) -> dict[str, Any]:
    amounts = {"guarantee": 0, "weight": 1, "limit": None, "priority": 100}
    return {"name": name, "parent": None, **amounts, **changes}


def pending(name: str, **changes: Any) -> dict[str, Any]:
    return plain({"name": name, "tenant": "a", "gpus": 1}, changes)


def running(name: str, **changes: Any) -> dict[str, Any]:
    return plain({**pending(name), "node": "n1"}, changes)


def entry(**changes: Any) -> dict[str, Any]:
    base = {"id": "one", "nodes": [node("n1")], "tenants": [tenant("a")]}
    return plain({**base, "running": [], "pending": []}, changes)


def test_all_of_kai_is_read() -> None:
    scenarios = read_scenarios(SCENARIOS / "kai.json")
    given = json.loads((SCENARIOS / "kai.json").read_text())["scenarios"]
    assert [each.id for each in scenarios] == [each["id"] for each in given]
    for read, raw in zip(scenarios, given, strict=True):
        assert [pod.name for pod in read.pending] == [pod["name"] for pod in raw["pending"]]
        assert [each.pod.name for each in read.running] == [p["name"] for p in raw["running"]]


def test_a_contributed_guarantee_is_what_the_nodes_of_its_owner_come_to(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    nodes = [node("n1", owner="a"), node("n2", owner="b", gpus=4), node("n3", owner="a")]
    tenants = [tenant("top", guarantee="contributed"), tenant("a", guarantee="contributed")]
    tenants[1]["parent"] = "top"
    one = entry(nodes=nodes, tenants=[*tenants, tenant("b", guarantee=1)])
    file.write_text(json.dumps({"scenarios": [one]}))
    (scenario,) = read_scenarios(file)
    assert [each.guarantee for each in scenario.tenants] == [4, 4, 1]
    assert [each.contributed for each in scenario.tenants] == [True, True, False]


def bad(**changes: Any) -> dict[str, Any]:
    return {"scenarios": [entry(**changes)]}


BAD = [
    ("{", "one.json:1: is no JSON"),
    ('{"scenarios": [\n{"id": "x",}]}', "one.json:2: is no JSON"),
    ("", "is no JSON"),
    ('{"scenarios": [{"id": NaN}]}', "NaN is not a number"),
    ([], "the file must be a JSON object"),
    ({}, '"scenarios" is missing'),
    ({"scenarios": 3}, '"scenarios" must be a list'),
    ({"scenarios": [3]}, "scenarios 1 must be a JSON object"),
    (bad(id=None), 'scenario 1: "id" is missing'),
    (bad(id=7), '"id" must be a text'),
    (bad(nodes=None), 'scenario "one": "nodes" is missing'),
    (bad(tenants=None), '"tenants" is missing'),
    (bad(running=None), '"running" is missing'),
    (bad(pending=None), '"pending" is missing'),
    (bad(pending={}), '"pending" must be a list'),
    (bad(mode="twice"), '"mode" must be "steady_state" or "one_action"'),
    (bad(mode="one_action"), '"phase" is missing'),
    (bad(placement="spread"), '"placement" must be a JSON object'),
    (bad(nodes=[node("n1", gpus=None)]), 'node "n1": "gpus" is missing'),
    (bad(nodes=[node("n1", gpus=1.5)]), '"gpus" must be a whole number'),
    (bad(nodes=[node("n1", gpus="2")]), '"gpus" must be a whole number'),
    (bad(nodes=[node("n1", gpus=-1)]), 'give 0 to 128 "gpus"'),
    (bad(nodes=[node("n1", gpus=129)]), 'give 0 to 128 "gpus"'),
    (bad(nodes=[node("n1", gpu_memory_mib=0)]), '"gpu_memory_mib" above 0'),
    (bad(nodes=[node("n1", gpu_memory_mib=10**25)]), '"gpu_memory_mib" above 0 and below'),
    (bad(nodes=[node("n1"), node("n1")]), 'node "n1" is there twice'),
    (bad(tenants=[tenant("a", parent="x")]), 'its parent "x" does not exist'),
    (bad(tenants=[tenant("a", parent="a")]), "is above itself"),
    (bad(tenants=[tenant("a"), tenant("a")]), 'tenant "a" is there twice'),
    (bad(tenants=[tenant("a", weight=-1)]), '"weight" must not be below 0'),
    (bad(tenants=[tenant("a", limit="many")]), '"limit" must be a number'),
    (bad(tenants=[{"name": "a"}]), 'tenant "a": "parent" is missing'),
    (bad(pending=[pending("p"), pending("p")]), 'pod "p" is there twice'),
    (bad(pending=[pending("p")], running=[running("p")]), 'pod "p" is there twice'),
    (bad(pending=[pending("p", tenant=None)]), 'pod "p": "tenant" is missing'),
    (bad(pending=[pending("p", gpus=None)]), 'give one of "gpus", "fraction" and "memory_mib"'),
    (bad(pending=[pending("p", fraction=0.5)]), "give one of"),
    (bad(pending=[pending("p", gpus=-1)]), '"gpus" must be 0 to 128'),
    (bad(running=[running("r", tenant="nobody")]), 'there is no tenant "nobody"'),
    (bad(pending=[pending("p", gpus=None, fraction=0)]), '"fraction" must be above 0'),
    (bad(pending=[pending("p", gpus=None, fraction=1.5)]), '"fraction" must be above 0, at most 1'),
    (bad(pending=[pending("p", gpus=None, fraction=0.0001)]), "in steps of 0.001"),
    (bad(pending=[pending("p", gpus=None, memory_mib=0)]), '"memory_mib" must be above 0'),
    (bad(pending=[pending("p", gpus=None, memory_mib=10**25)]), '"memory_mib" must be above 0'),
    (bad(pending=[pending("p", preemptible="no")]), '"preemptible" must be true or false'),
    (bad(pending=[pending("p", priority="high")]), '"priority" must be a whole number'),
    (bad(pending=[pending("p", order=[])]), '"order" must be a whole number'),
    (bad(running=[running("r", node=None)]), '"node" is missing'),
    (bad(running=[running("r", node="n9")]), 'pod "r": runs on "n9", which is none of the nodes'),
    (bad(running=[running("r", gpu_index=2)]), '"gpu_index" must be 0 to 1'),
    (bad(running=[running("r", gpu_index=-1)]), '"gpu_index" must be 0 to 1'),
    (bad(running=[running("r", gpu_index=0.5)]), '"gpu_index" must be 0 to 1'),
    (bad(running=[running("r", gpu_index=["0"])]), '"gpu_index" must be 0 to 1'),
    (bad(expected=[]), '"expected" must be a JSON object'),
    (bad(expected={"bound": ["p"]}), '"bound" must be a JSON object'),
    (bad(expected={"stay_pending": "p"}), '"stay_pending" must be a list'),
    (bad(expected={"same_gpu": [1, 2]}), '"same_gpu" must be a list'),
    (bad(expected={"same_gpu": [["p"], "q"]}), '"same_gpu" must be a list'),
]


@pytest.mark.parametrize(("content", "says"), BAD)
def test_what_can_not_be_read_is_told_in_one_sentence(
    content: object, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InvalidFile) as problem:
        read_scenarios(path)
    assert says in str(problem.value)
    assert str(problem.value).startswith(str(path))
    assert "\n" not in str(problem.value)


def test_ten_thousand_pods_are_read_without_counting_each_name_again(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(bad(pending=[pending(f"p{n}") for n in range(10_000)])))
    (scenario,) = read_scenarios(path)
    assert len(scenario.pending) == 10_000
