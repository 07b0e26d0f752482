"""Constraints read from pods, nodes and volumes as the API server stores them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.constraintreader import (
    is_movable,
    is_pinnable,
    read_constraints,
    read_taints,
    read_terms,
    read_volume,
    uses_claims,
)
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints, Taint, Term, Toleration
from tests.core.model.pod_json import container, gpus, limited
from tests.support.builders import line, node

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
OWNER = [{"kind": "Job", "name": "j", "uid": "j", "controller": True}]


def pod(owners: Any = OWNER, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"ownerReferences": owners}, "spec": spec}


def required(*terms: Any) -> dict[str, Any]:
    selector = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


def test_all_that_a_pod_says_about_nodes_is_read() -> None:
    stored = pod(
        nodeSelector={"zone": "a", "disk": "ssd"},
        affinity=required(
            {
                "matchExpressions": [{"key": "size", "operator": "Gt", "values": ["4"]}],
                "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
            },
            {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
        ),
        tolerations=[{"key": "team", "value": "a", "effect": "NoSchedule"}, {"operator": "Exists"}],
    )
    volume = (Term((line(ZONE, "In", "z1"),)),)
    own = (
        Term((line("size", "Gt", "4"),), (line("metadata.name", "In", "n1"),)),
        Term((line("gpu", "Exists"),)),
    )
    assert read_constraints(stored, (volume,)) == Constraints(
        (("disk", "ssd"), ("zone", "a")),
        (own, volume),
        (Toleration("team", "Equal", "a", "NoSchedule"), Toleration("", "Exists")),
    )


def test_names_of_nodes_that_a_pod_was_pinned_to_are_left_out() -> None:
    fields = [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]
    gpu = {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
    pinned = pod(affinity=required({"matchFields": fields}, {"matchFields": fields}))
    assert read_constraints(pinned, pinned=True) == Constraints()
    both = pod(affinity=required({**gpu, "matchFields": fields}, {**gpu, "matchFields": fields}))
    assert read_constraints(both, pinned=True) == Constraints(
        terms=((Term((line("gpu", "Exists"),)),),)
    )
    assert read_constraints(pod(affinity=required()), pinned=True) == Constraints(terms=())
    daemon = pod([{"kind": "DaemonSet", "name": "d", "uid": "d", "controller": True}])
    found = [is_movable(each) for each in (pinned, both, pod(), daemon)]
    assert found == [True, False, True, False]


def test_pods_that_say_the_same_share_one_object() -> None:
    asking = pod(nodeSelector={"zone": "a"}), pod(nodeSelector={"zone": "a"})
    assert read_constraints(asking[0]) is read_constraints(asking[1])


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"nodeSelector": None, "affinity": None, "tolerations": None},
        {"nodeSelector": {}, "affinity": {"nodeAffinity": None}, "tolerations": []},
        {"affinity": {"podAntiAffinity": {"x": []}}},
        {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{}]}}},
    ],
)
def test_who_says_nothing_has_no_constraints(spec: dict[str, Any]) -> None:
    assert read_constraints(pod(**spec)) == NO_CONSTRAINTS


def test_a_selector_without_terms_takes_no_node() -> None:
    constraints = read_constraints(pod(affinity=required()))
    assert constraints.terms == ((),)
    assert not constraints.allow(node("n1"))


FIELDS = st.sampled_from(
    [
        *("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"),
        *("matchExpressions", "key", "values", "ports", "resources", "limits", "controller"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3),
)


@given(ANYTHING)
def test_fields_of_another_type_are_never_an_error(found: Any) -> None:
    keys = ("nodeSelector", "affinity", "tolerations", "containers", "volumes", "taints", "x")
    stored = {"metadata": found, "spec": dict.fromkeys(keys, found)}
    read_constraints(stored)
    read_taints(stored)
    read_volume(stored)
    read_volume({"metadata": {"labels": found}, "spec": {"nodeAffinity": {"required": found}}})
    assert is_pinnable(stored) in (True, False)
    assert uses_claims(stored) in (True, False)


def test_taints_of_a_node() -> None:
    taints = [{"key": "gpu", "effect": "NoSchedule"}, {"key": "t", "value": "a", "effect": "X"}]
    read = read_taints({"spec": {"taints": taints}})
    assert read == (Taint("gpu", "", "NoSchedule"), Taint("t", "a", "X"))
    assert read_taints({"spec": {}}) == ()


# ------------------------------------------------------------------------------------- volumes


def volume(*terms: Any, **labels: str) -> dict[str, Any]:
    affinity = {"required": {"nodeSelectorTerms": list(terms)}} if terms else None
    return {"metadata": {"labels": labels}, "spec": {"nodeAffinity": affinity}}


def labels(**found: str) -> dict[str, str]:
    return {{"zone": ZONE, "region": REGION, "old": OLD_ZONE}[key]: v for key, v in found.items()}


IN_Z1 = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["z1"]}]}
IN_Z2 = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["z2"]}]}
BY_NAME = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}


@pytest.mark.parametrize(
    ("stored", "of_node", "allowed"),
    [
        (volume(), {}, True),
        (volume(IN_Z1), labels(zone="z1"), True),
        (volume(IN_Z1), labels(zone="z2"), False),
        (volume(IN_Z1), {}, False),
        (volume(IN_Z1, IN_Z2), labels(zone="z2"), True),
        # Asked about a node without a name, fields are left out: CheckNodeAffinity.
        (volume(BY_NAME), {}, True),
        (volume({**IN_Z1, **BY_NAME}), labels(zone="z1"), True),
        (volume({**IN_Z1, **BY_NAME}), labels(zone="z2"), False),
        (volume({}), labels(zone="z1"), False),
        # Labels of its zone: VolumeZone.
        (volume(**labels(zone="z1")), labels(zone="z1"), True),
        (volume(**labels(zone="z1")), labels(zone="z2"), False),
        (volume(**labels(zone="z1__z2")), labels(zone="z2"), True),
        (volume(**labels(zone="z1")), {"disk": "ssd"}, True),
        (volume(**labels(zone="z1")), labels(region="r"), False),
        (volume(**labels(zone="z1", region="r")), labels(zone="z1", region="r"), True),
        (volume(**labels(zone="z1", region="r")), labels(zone="z1", region="q"), False),
        (volume(**labels(old="z1")), labels(zone="z1"), True),
        (volume(**labels(old="z1")), labels(zone="z2"), False),
        (volume(**labels(old="z1")), labels(old="z1", zone="z2"), True),
        (volume(**labels(old="z1")), labels(old="z2", zone="z1"), False),
        (volume(**labels(zone="z1")), labels(old="z1"), False),
        # A list of zones that can't be read is left out.
        (volume(**labels(zone="z1__")), labels(zone="z2"), True),
        (volume(IN_Z1, **labels(region="r")), labels(zone="z1", region="q"), False),
    ],
)
def test_where_a_volume_can_be_used(
    stored: dict[str, Any], of_node: dict[str, str], allowed: bool
) -> None:
    assert Constraints(terms=read_volume(stored)).allow(node("n1", labels=of_node)) == allowed


def test_terms_of_a_selector_that_is_none() -> None:
    assert read_terms({}) == ()
    assert read_terms({"nodeSelectorTerms": [{}, "x"]}) == (Term(),)


# ------------------------------------------------------------------------------------- pinning

CLAIM = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}


@pytest.mark.parametrize(
    ("stored", "pinnable"),
    [
        (pod(containers=[container(cpu="1", memory="1Gi"), gpus(1)]), True),
        (pod(containers=[{"name": "c", "ports": [{"containerPort": 80}]}]), True),
        (pod(affinity=required(IN_Z1)), True),
        (pod(affinity={"podAffinity": None, "podAntiAffinity": {}}), True),
        (pod(topologySpreadConstraints=[]), True),
        (pod(volumes=[CLAIM]), True),  # whether it is bound is told by `volumes_of`
        (pod(affinity={"podAffinity": {"preferredDuringSchedulingIgnored": [{}]}}), False),
        (pod(affinity={"podAntiAffinity": {"requiredDuringScheduling": [{}]}}), False),
        (pod(topologySpreadConstraints=[{"whenUnsatisfiable": "DoNotSchedule"}]), False),
        (pod(topologySpreadConstraints=[{"whenUnsatisfiable": "ScheduleAnyway"}]), False),
        (pod(resourceClaims=[{"name": "x"}]), False),
        (pod(containers=[{"name": "c", "ports": [{"hostPort": 80}]}]), False),
        (pod(initContainers=[{"name": "c", "ports": [{"hostPort": 80}]}]), False),
        (pod(containers=[container(**{"hugepages-2Mi": "4Mi"})]), False),
        (pod(containers=[limited(**{"example.com/nic": 1})]), False),
        (pod(initContainers=[container(**{"ephemeral-storage": "1Gi"})]), False),
        (pod(resources={"requests": {"hugepages-2Mi": "4Mi"}}), False),
        (pod(owners=[]), False),
        (pod(owners=None), False),
        (pod(owners=[{"kind": "Job", "controller": False}, {"kind": "X"}]), False),
    ],
)
def test_who_may_be_pinned(stored: dict[str, Any], pinnable: bool) -> None:
    assert is_pinnable(stored) == pinnable


@pytest.mark.parametrize(
    ("volumes", "uses"),
    [
        (None, False),
        ([], False),
        ([{"name": "v", "emptyDir": {}}, {"name": "w", "secret": {}}], False),
        ([{"name": "v", "emptyDir": {}}, CLAIM], True),
        ([{"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}], True),
    ],
)
def test_who_uses_claims(volumes: Any, uses: bool) -> None:
    assert uses_claims(pod(volumes=volumes)) == uses
