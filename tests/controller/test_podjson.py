"""What the feed reads of a pod's JSON."""

from typing import Any

import pytest

from scheduler.controller import podjson
from scheduler.core.model import podstate
from tests.support.extenders import pod_json


def pod(**parts: Any) -> dict[str, Any]:
    """Return a pod whose metadata, spec and status gain what is given."""
    made = pod_json("p")
    for part, more in parts.items():
        made[part] = {**made[part], **more}
    return made


def term(*names: str) -> dict[str, Any]:
    lines = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in names]
    return {"matchFields": lines}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    chosen = {"nodeSelectorTerms": list(terms)}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": chosen}
    return {"affinity": {"nodeAffinity": required}}


def test_a_slim_pod_is_the_same_without_bookkeeping_and_the_given_one_stays() -> None:
    fat = pod(metadata={"managedFields": [{"manager": "kubelet"}]})
    assert podjson.slim(fat) == pod_json("p")
    assert "managedFields" in fat["metadata"]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (pod(status={"phase": "Pending", "conditions": [{"type": "PodScheduled"}]}), True),
        (pod(metadata={"resourceVersion": "7"}), True),
        (pod(metadata={"annotations": {}}), False),
        (pod(metadata={"labels": {"app": "x"}}), False),
        (pod(metadata={"ownerReferences": [{"uid": "o"}]}), False),
        (pod(spec={"schedulingGates": [{"name": "example.com/quota"}]}), False),
    ],
    ids=["status", "version", "annotations", "labels", "owner", "gates"],
)
def test_a_pod_wishes_the_same_as_long_as_only_others_wrote(
    other: dict[str, Any], same: bool
) -> None:
    assert podjson.same_wish(pod_json("p"), other) is same


@pytest.mark.parametrize(
    ("references", "owner"),
    [
        ([], ""),
        ([{"uid": "o"}], ""),
        ([{"uid": "o", "controller": False}, {"uid": "c", "controller": True}], "c"),
        ([{"kind": "Job", "controller": True}], ""),
    ],
    ids=["none", "no controller", "one of two", "no UID"],
)
def test_only_a_controller_makes_a_pod_again(references: list[Any], owner: str) -> None:
    assert podstate.owner_of(pod(metadata={"ownerReferences": references})) == owner


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, True),
        ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}, False),
        ({"type": "PodScheduled", "status": "False", "reason": "SchedulerError"}, False),
        ({"type": "Ready", "status": "False", "reason": "Unschedulable"}, False),
    ],
    ids=["no node", "gated", "an error", "another condition"],
)
def test_turned_down_is_who_kube_scheduler_found_no_node_for(
    condition: dict[str, Any], expected: bool
) -> None:
    assert podjson.turned_down(pod(status={"conditions": [condition]})) is expected
    assert not podjson.turned_down(pod_json("p"))


@pytest.mark.parametrize(
    ("made", "nodes", "pinned"),
    [
        (pod(), (), False),
        (pod(spec=affinity(term("n1"), term("n2"))), ("n1", "n2"), True),
        (pod(status={"nominatedNodeName": "n3"}), ("n3",), False),
        (
            pod(spec=affinity(term("n1")), status={"nominatedNodeName": "n3"}),
            ("n1",),
            True,
        ),
    ],
    ids=["nowhere", "pinned", "nominated", "both"],
)
def test_a_pin_counts_before_a_nomination(
    made: dict[str, Any], nodes: tuple[str, ...], pinned: bool
) -> None:
    assert podjson.released_to(made) == (nodes, pinned)


def using(kind: str = "containers", **resources: Any) -> dict[str, Any]:
    return pod(spec={kind: [{"name": "x", "resources": resources}]})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod(), False),
        (using(limits={"nvidia.com/gpu": "1"}), True),
        (using(requests={"nvidia.com/gpu": 2}), True),
        (using(limits={"nvidia.com/gpu": "0"}), False),
        (using("initContainers", limits={"nvidia.com/gpu": "1"}), True),
        (using(limits={"nvidia.com/gpu.shared": "1"}), True),
        (using(limits={"nvidia.com/mig-1g.5gb": "1"}), True),
        (using(limits={"nvidia.com/hostdev": "1"}), False),
        (using(limits={"cpu": "1"}), False),
    ],
    ids=["none", "limit", "request", "zero", "init", "shared", "mig", "network", "cpu"],
)
def test_a_card_held_past_us_is_noticed_by_any_name_of_the_device_plugin(
    made: dict[str, Any], expected: bool
) -> None:
    assert podjson.takes_nvidia(made) is expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod(), False),
        (pod(status={"phase": "Running"}), False),
        (pod(status={"phase": "Succeeded"}), True),
        (pod(status={"phase": "Failed"}, spec={"nodeName": "n1"}), True),
        (pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), True),
        (
            pod(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, spec={"nodeName": "n"}),
            False,
        ),
    ],
    ids=["pending", "running", "succeeded", "failed", "going, no node", "going, on a node"],
)
def test_who_runs_no_more(made: dict[str, Any], expected: bool) -> None:
    assert podstate.runs_no_more(made) is expected
