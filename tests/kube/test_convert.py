"""API objects → the model: exact numbers, only what is ours, nothing from a stale measurement."""

from fractions import Fraction
from typing import Any

import pytest

from scheduler.core.model.errors import InvalidInput
from scheduler.kube import convert
from scheduler.kube.times import micro_stamp, seconds, stamp
from tests.kube.stored import NOW, gpunode_json, node_json, stored, tenant_json, use


def test_a_tenants_numbers_are_exact() -> None:
    made = "2027-01-15T08:00:00Z"
    found = tenant_json("vision", "research", guarantee=0.1, weight=3, limit=2.5, priority=7)
    found["metadata"]["creationTimestamp"] = made
    tenant = convert.tenant(found)
    assert (tenant.name, tenant.parent, tenant.priority) == ("vision", "research", 7)
    assert (tenant.guarantee, tenant.weight) == (Fraction(1, 10), Fraction(3))
    assert (tenant.limit, tenant.created) == (Fraction(5, 2), NOW)


def test_a_tenant_that_says_nothing_has_the_defaults() -> None:
    tenant = convert.tenant(stored("vision"))
    assert (tenant.guarantee, tenant.weight) == (Fraction(0), Fraction(1))
    assert (tenant.parent, tenant.limit, tenant.priority) == (None, None, 100)


def test_a_guarantee_may_be_the_word_that_makes_it_follow_nodes() -> None:
    read = convert.tenant(tenant_json("vision", guarantee="contributed", limit=3))
    assert (read.contributed, read.guarantee, read.limit) == (True, Fraction(0), Fraction(3))
    assert not convert.tenant(tenant_json("vision", guarantee=3)).contributed


def test_a_node_says_who_owns_it_and_whether_it_answers() -> None:
    label = {"equipoise.dev/owner": "vision"}
    found = node_json(
        "n", taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]
    )
    found["metadata"]["labels"] |= label
    node = convert.node(found, gpunode_json("n"), now=NOW)
    assert (node.owner, node.silent) == ("vision", True)
    node = convert.node(node_json("n"), gpunode_json("n"), now=NOW)
    assert (node.owner, node.silent) == (None, False)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"guarantee": -1}, 'tenant "vision": guarantee: "-1" must not be below 0'),
        ({"guarantee": "2"}, 'tenant "vision": guarantee: "2" is neither a number nor the word'),
        ({"guarantee": [2]}, 'tenant "vision": guarantee: "[2]" is not a number; write one'),
        ({"weight": "2"}, 'tenant "vision": weight: "2" is not a number; write one without quotes'),
        ({"maxRuntime": "long"}, 'tenant "vision": maxRuntime: "long" is no duration; write'),
        ({"limit": True}, 'tenant "vision": limit: "True" is not a number'),
        ({"limit": float("inf")}, 'tenant "vision": limit: "inf" is not a number'),
        ({"priority": 1.5}, 'tenant "vision": priority: "1.5" must be a whole number'),
        ({"parent": 3}, 'tenant "vision": parent must be the name of a tenant'),
    ],
)
def test_what_is_wrong_with_a_tenant_is_named(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput) as problem:
        convert.tenant(stored("vision", spec=spec))
    assert str(problem.value).startswith(sentence)


UNTIL, MOVES = "equipoise.dev/defrag-until", "equipoise.dev/defrag-moves"


@pytest.mark.parametrize(
    ("notes", "until", "moves", "problem"),
    [
        ({}, 0.0, None, ""),
        ({UNTIL: "2027-01-15T08:00:00Z"}, NOW, None, ""),
        ({UNTIL: "2027-01-15T08:00:00Z", MOVES: "3"}, NOW, 3, ""),
        ({MOVES: "3"}, 0.0, None, ""),
        ({UNTIL: "soon"}, 0.0, None, f'{UNTIL} is "soon"; write a time such as "2026-01-31T12:'),
        ({UNTIL: "2027-01-15T08:00:00"}, 0.0, None, "; the order is not heeded"),
        ({UNTIL: "2027-01-15T08:00:00Z", MOVES: "-1"}, 0.0, None, f'{MOVES} is "-1"; write a'),
    ],
)
def test_an_order_to_defragment_is_read_or_is_none_and_says_why(
    notes: dict[str, str], until: float, moves: int | None, problem: str
) -> None:
    found = tenant_json("vision", guarantee=2) | {"metadata": {"name": "vision"}}
    found["metadata"]["annotations"] = notes
    tenant = convert.tenant(found)
    assert (tenant.defrag_until, tenant.defrag_moves, tenant.guarantee) == (
        until,
        moves,
        Fraction(2),
    )
    told = convert.defrag_problem(found)
    assert problem in told
    assert bool(told) == bool(problem)


def test_an_object_without_a_name_is_none() -> None:
    for read in (convert.tenant, lambda found: convert.node(found, now=NOW)):
        with pytest.raises(InvalidInput, match=r"no metadata\.name"):
            read({"metadata": {}})


def test_a_node_has_what_its_kubelet_and_its_agent_report() -> None:
    found = node_json("n", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    node = convert.node(found, gpunode_json("n"), now=NOW)
    assert (node.cpu_milli, node.ram_mib, node.pods) == (3920, 16075, 110)
    assert (node.labels["zone"], node.open, node.closed) == ("a", True, "")
    assert [taint.describe() for taint in node.taints] == ["k=v:NoSchedule"]
    assert [device.uuid for device in node.devices] == ["n/0", "n/1"]


def test_a_node_that_admins_did_not_give_us_has_no_devices_and_is_not_closed() -> None:
    node = convert.node(node_json("n", ours=False, gpus="8"), gpunode_json("n"), now=NOW)
    assert (node.devices, node.closed) == ((), "")


def test_a_node_without_an_agent_has_no_devices() -> None:
    assert convert.node(node_json("n"), now=NOW).devices == ()


def test_a_cordoned_node_is_not_open() -> None:
    assert not convert.node(node_json("n", unschedulable=True), now=NOW).open


@pytest.mark.parametrize(
    "resource", ["nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g"]
)
def test_a_node_that_still_advertises_gpus_takes_no_pod_and_says_why(resource: str) -> None:
    found = node_json("n")
    found["status"]["allocatable"][resource] = "8"
    node = convert.node(found, gpunode_json("n"), now=NOW)
    assert node.closed == (
        f"it still advertises {resource}: take NVIDIA's device plugin off this node"
    )


def test_a_node_on_which_somebody_uses_gpus_beside_us_takes_no_pod() -> None:
    node = convert.node(node_json("n"), gpunode_json("n"), now=NOW, strangers=True)
    assert "uses nvidia.com/gpu" in node.closed


def test_what_was_measured_a_moment_ago_counts() -> None:
    report = gpunode_json(
        "n",
        use=[use("n/0", used=4000, foreign=1000, load=700), use("n/1", used=10**6, foreign=10**6)],
        usedAt=stamp(NOW - 120),
    )
    one, other = convert.node(node_json("n"), report, now=NOW).devices
    assert (one.used_mib, one.foreign_mib, one.load) == (4000, 1000, 700)
    assert (other.used_mib, other.foreign_mib) == (16_000, 16_000)


@pytest.mark.parametrize("used_at", [stamp(NOW - 121), "", "yesterday"])
def test_what_was_measured_long_ago_counts_only_where_strangers_hold_memory(used_at: str) -> None:
    report = gpunode_json("n", use=[use("n/0", used=4000, foreign=1000, load=700)], usedAt=used_at)
    device = convert.node(node_json("n"), report, now=NOW).devices[0]
    assert (device.used_mib, device.foreign_mib, device.load) == (0, 1000, 0)


def test_links_between_cards_are_read_and_all_are_linked_where_nothing_is_said() -> None:
    report = gpunode_json("n", 3)
    report["status"]["devices"][2]["link"] = 2
    assert [each.link for each in convert.node(node_json("n"), report, now=NOW).devices] == [
        0,
        0,
        2,
    ]


def test_a_broken_card_is_not_healthy_and_one_that_told_nothing_is_left_out() -> None:
    report = gpunode_json("n", 3)
    report["status"]["devices"][0] |= {"healthy": False, "milli": 142, "mig": True}
    report["status"]["devices"][1]["uuid"] = ""
    report["status"]["devices"][2]["memoryMiB"] = 0
    (device,) = convert.node(node_json("n"), report, now=NOW).devices
    assert (device.uuid, device.healthy, device.milli, device.mig) == ("n/0", False, 142, True)


def test_a_quantity_that_is_none_is_refused() -> None:
    found = node_json("n")
    found["status"]["allocatable"]["cpu"] = "many"
    with pytest.raises(InvalidInput, match="allocatable cpu"):
        convert.node(found, now=NOW)


def test_times_are_read_and_written_as_the_api_server_does() -> None:
    assert stamp(NOW + 0.9) == "2027-01-15T08:00:00Z"
    assert micro_stamp(NOW + 0.25) == "2027-01-15T08:00:00.250000Z"
    assert seconds("2027-01-15T08:00:00.250000123Z") == NOW + 0.25
    assert seconds("2027-01-15T08:00:00") is None
