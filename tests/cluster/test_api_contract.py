"""What Equipoise relies on, asked of a real API server: nothing of our own code runs in here."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.controlplane.api import JSON, JSON_PATCH, MERGE, STRATEGIC, Api, Refused
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

GATE, FOREIGN = "equipoise.dev/fair-share", "example.com/quota"
ASSIGNMENT, DEVICES = "equipoise.dev/assignment", "equipoise.dev/devices"
NO_UID = "00000000-0000-4000-8000-000000000000"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

Make = Callable[..., JSON]


@pytest.fixture
def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


@pytest.fixture
def make(api: Api, pods: str) -> Make:
    """Create a pod named "p" that no scheduler looks at; keywords are fields of its spec."""

    def create(**spec: Any) -> JSON:
        plain = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "x"}]}
        return api.post(pods, {"metadata": {"name": "p"}, "spec": {**plain, **spec}})

    return create


def refused(action: Callable[..., object], *given: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        action(*given)
    return caught.value


def first_answer(api: Api, path: str, params: dict[str, str]) -> int:
    """Return the status with which a watch is refused, at once or by its first event; 200."""
    try:
        for event in api.watch(path, {**params, "timeoutSeconds": "5"}):
            return int(event["object"].get("code", 200))
    except Refused as error:
        return error.status
    return 200


def binding(pod: JSON, node: str = "node-a", **metadata: Any) -> JSON:
    given = {"name": "p", "uid": pod["metadata"]["uid"], **metadata}
    return {"metadata": given, "target": {"kind": "Node", "name": node}}


def gates(*names: str) -> list[JSON]:
    return [{"name": name} for name in names]


def named(*nodes: str) -> JSON:
    """Return one line of a term: the node's name is one of these."""
    return {"key": "metadata.name", "operator": "In", "values": list(nodes)}


def zone(name: str) -> JSON:
    return {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [name]}


def required(*terms: JSON) -> JSON:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def terms_of(pod: JSON) -> list[JSON]:
    terms: list[JSON] = pod["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    return terms


def release(pod: JSON, **changes: Any) -> JSON:
    """Return a strategic merge that takes our gate off, for exactly this state of the pod."""
    metadata = {key: pod["metadata"][key] for key in ("uid", "resourceVersion")}
    spec = {"schedulingGates": [{"name": GATE, "$patch": "delete"}], **changes}
    return {"metadata": metadata, "spec": spec}


class TestBinding:
    def test_node_and_annotations_come_in_one_event(self, api: Api, pods: str, make: Make) -> None:
        pod = make()
        assigned = {ASSIGNMENT: '{"version":1}', DEVICES: "GPU-1"}

        api.post(f"{pods}/p/binding", binding(pod, annotations=assigned))

        since = {"resourceVersion": pod["metadata"]["resourceVersion"], "timeoutSeconds": "1"}
        events = [event["object"] for event in api.watch(pods, since)]
        first = events[0]
        assert first["spec"]["nodeName"] == "node-a"
        assert first["metadata"]["annotations"].items() >= assigned.items()
        assert all(event["spec"].get("nodeName") for event in events), "an event came between"

    def test_the_pods_own_annotations_stay(self, api: Api, pods: str, make: Make) -> None:
        pod = make()
        pod = api.patch(f"{pods}/p", {"metadata": {"annotations": {"mine": "1"}}})

        api.post(f"{pods}/p/binding", binding(pod, annotations={ASSIGNMENT: "{}"}))

        stored = api.get(f"{pods}/p")["metadata"]["annotations"]
        assert stored == {"mine": "1", ASSIGNMENT: "{}"}

    def test_another_pod_of_that_name_is_a_conflict(self, api: Api, pods: str, make: Make) -> None:
        pod = make()

        error = refused(api.post, f"{pods}/p/binding", binding(pod, uid=NO_UID))

        assert error.status == 409
        assert "nodeName" not in api.get(f"{pods}/p")["spec"]

    def test_a_stale_version_is_a_conflict(self, api: Api, pods: str, make: Make) -> None:
        pod = make()
        api.patch(f"{pods}/p", {"metadata": {"labels": {"newer": "1"}}})
        stale = pod["metadata"]["resourceVersion"]

        error = refused(api.post, f"{pods}/p/binding", binding(pod, resourceVersion=stale))

        assert error.status == 409

    def test_a_gated_pod_is_a_conflict(self, api: Api, pods: str, make: Make) -> None:
        pod = make(schedulingGates=gates(GATE))

        error = refused(api.post, f"{pods}/p/binding", binding(pod))

        assert error.status == 409
        assert "schedulingGates" in error.message

    @pytest.mark.parametrize("node", ["node-a", "node-b"])
    def test_a_second_one_is_a_conflict(self, api: Api, pods: str, make: Make, node: str) -> None:
        pod = make()
        api.post(f"{pods}/p/binding", binding(pod, "node-a", annotations={ASSIGNMENT: "first"}))

        again = binding(pod, node, annotations={ASSIGNMENT: "second"})
        error = refused(api.post, f"{pods}/p/binding", again)

        assert error.status == 409
        stored = api.get(f"{pods}/p")
        assert stored["spec"]["nodeName"] == "node-a"
        assert stored["metadata"]["annotations"][ASSIGNMENT] == "first"

    def test_a_pod_that_is_going_is_a_conflict(self, api: Api, pods: str, make: Make) -> None:
        pod = make()
        api.patch(f"{pods}/p", {"metadata": {"finalizers": ["example.com/stay"]}})
        api.delete(f"{pods}/p")

        error = refused(api.post, f"{pods}/p/binding", binding(pod))

        api.patch(f"{pods}/p", {"metadata": {"finalizers": None}})
        assert error.status == 409

    def test_no_such_pod_is_not_found(self, api: Api, pods: str) -> None:
        missing = {"metadata": {"name": "p", "uid": NO_UID}}

        assert refused(api.post, f"{pods}/p/binding", binding(missing)).status == 404


class TestRelease:
    def test_a_pod_without_affinity_gets_a_term_a_candidate(
        self, api: Api, pods: str, make: Make
    ) -> None:
        pod = make(schedulingGates=gates(GATE))
        terms = [{"matchFields": [named(node)]} for node in ("node-a", "node-b", "node-c")]

        api.patch(f"{pods}/p", release(pod, affinity=required(*terms)), STRATEGIC)

        stored = api.get(f"{pods}/p")
        assert "schedulingGates" not in stored["spec"]
        assert terms_of(stored) == terms

    def test_foreign_gates_and_affinities_stay(self, api: Api, pods: str, make: Make) -> None:
        near = {"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"}
        liked = {"weight": 5, "preference": {"matchExpressions": [zone("a")]}}
        make(
            schedulingGates=gates(FOREIGN, GATE, "example.com/other"),
            affinity={
                "podAffinity": {REQUIRED: [near]},
                "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [liked]},
            },
        )
        pod = api.get(f"{pods}/p")
        terms = [{"matchFields": [named("node-a")]}]

        api.patch(f"{pods}/p", release(pod, affinity=required(*terms)), STRATEGIC)

        spec = api.get(f"{pods}/p")["spec"]
        assert spec["schedulingGates"] == gates(FOREIGN, "example.com/other")
        assert spec["affinity"]["podAffinity"] == pod["spec"]["affinity"]["podAffinity"]
        assert spec["affinity"]["nodeAffinity"] == {
            REQUIRED: {"nodeSelectorTerms": terms},
            "preferredDuringSchedulingIgnoredDuringExecution": [liked],
        }

    @pytest.mark.parametrize("zones", [["a"], ["a", "b"]], ids=["one term", "two terms"])
    def test_a_json_patch_adds_one_name_to_each_term(
        self, api: Api, pods: str, make: Make, zones: list[str]
    ) -> None:
        own = [{"matchExpressions": [zone(each)]} for each in zones]
        pod = make(schedulingGates=gates(FOREIGN, GATE), affinity=required(*own))
        where = f"/spec/affinity/nodeAffinity/{REQUIRED}/nodeSelectorTerms"
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": pod["metadata"]["uid"]},
            {"op": "test", "path": "/spec/schedulingGates/1/name", "value": GATE},
            {"op": "remove", "path": "/spec/schedulingGates/1"},
            *(
                {"op": "add", "path": f"{where}/{at}/matchFields", "value": [named(f"n-{each}")]}
                for at, each in enumerate(zones)
            ),
        ]

        api.patch(f"{pods}/p", patch, JSON_PATCH)

        stored = api.get(f"{pods}/p")
        assert stored["spec"]["schedulingGates"] == gates(FOREIGN)
        assert terms_of(stored) == [
            {"matchExpressions": [zone(each)], "matchFields": [named(f"n-{each}")]}
            for each in zones
        ]

    @pytest.mark.parametrize("zones", [["a"], ["a", "b"]], ids=["one term", "two terms"])
    def test_a_strategic_merge_replaces_the_terms_as_a_whole(
        self, api: Api, pods: str, make: Make, zones: list[str]
    ) -> None:
        own = [{"matchExpressions": [zone(each)]} for each in zones]
        pod = make(schedulingGates=gates(GATE), affinity=required(*own))
        terms = [{**term, "matchFields": [named("node-a")]} for term in own]

        api.patch(f"{pods}/p", release(pod, affinity=required(*terms)), STRATEGIC)

        assert terms_of(api.get(f"{pods}/p")) == terms

    def test_a_json_patch_with_a_wrong_test_changes_nothing(
        self, api: Api, pods: str, make: Make
    ) -> None:
        make(schedulingGates=gates(FOREIGN, GATE))
        patch = [
            {"op": "test", "path": "/spec/schedulingGates/0/name", "value": GATE},
            {"op": "remove", "path": "/spec/schedulingGates/0"},
        ]

        assert refused(api.patch, f"{pods}/p", patch, JSON_PATCH).status == 422
        assert api.get(f"{pods}/p")["spec"]["schedulingGates"] == gates(FOREIGN, GATE)

    def test_two_names_in_one_line_are_refused(self, api: Api, pods: str, make: Make) -> None:
        pod = make(schedulingGates=gates(GATE))
        terms = [{"matchFields": [named("node-a", "node-b")]}]

        error = refused(api.patch, f"{pods}/p", release(pod, affinity=required(*terms)), STRATEGIC)

        assert error.status == 422
        assert api.get(f"{pods}/p")["spec"]["schedulingGates"] == gates(GATE)

    def test_a_pod_with_terms_may_gain_none(self, api: Api, pods: str, make: Make) -> None:
        own = {"matchExpressions": [zone("a")]}
        pod = make(schedulingGates=gates(GATE), affinity=required(own))
        terms = [{**own, "matchFields": [named(node)]} for node in ("node-a", "node-b")]

        error = refused(api.patch, f"{pods}/p", release(pod, affinity=required(*terms)), STRATEGIC)

        assert error.status == 422
        assert "no additions/deletions" in error.message

    def test_a_released_pod_keeps_its_pin(self, api: Api, pods: str, make: Make) -> None:
        pod = make(schedulingGates=gates(GATE))
        pin = required({"matchFields": [named("node-a")]})
        pod = api.patch(f"{pods}/p", release(pod, affinity=pin), STRATEGIC)
        other = required({"matchFields": [named("node-b")]})

        error = refused(api.patch, f"{pods}/p", {"spec": {"affinity": other}}, STRATEGIC)

        assert error.status == 422

    @pytest.mark.parametrize("kind", [STRATEGIC, MERGE], ids=["strategic", "merge"])
    def test_a_stale_version_is_a_conflict(
        self, api: Api, pods: str, make: Make, kind: str
    ) -> None:
        pod = make(schedulingGates=gates(GATE))
        api.patch(f"{pods}/p", {"metadata": {"labels": {"newer": "1"}}})

        assert refused(api.patch, f"{pods}/p", release(pod), kind).status == 409
        assert api.get(f"{pods}/p")["spec"]["schedulingGates"] == gates(GATE)

    def test_another_pod_of_that_name_is_a_conflict(self, api: Api, pods: str, make: Make) -> None:
        before = make(schedulingGates=gates(GATE))
        api.delete(f"{pods}/p")
        make(schedulingGates=gates(GATE))

        assert refused(api.patch, f"{pods}/p", release(before), STRATEGIC).status == 409
        assert api.get(f"{pods}/p")["spec"]["schedulingGates"] == gates(GATE)

    def test_a_wrong_uid_alone_is_invalid(self, api: Api, pods: str, make: Make) -> None:
        """It is no conflict here as it is with a Binding: a version must come with it."""
        pod = make(schedulingGates=gates(GATE))
        other = {"metadata": {**pod["metadata"], "uid": NO_UID}}

        assert refused(api.patch, f"{pods}/p", release(other), STRATEGIC).status == 422
        assert api.get(f"{pods}/p")["spec"]["schedulingGates"] == gates(GATE)

    def test_a_gate_cannot_come_back(self, api: Api, pods: str, make: Make) -> None:
        pod = make(schedulingGates=gates(GATE))
        api.patch(f"{pods}/p", release(pod), STRATEGIC)

        again = {"spec": {"schedulingGates": gates(GATE)}}

        assert refused(api.patch, f"{pods}/p", again, STRATEGIC).status == 422

    def test_taking_a_gate_off_that_is_not_there_changes_nothing(
        self, api: Api, pods: str, make: Make
    ) -> None:
        pod = make(schedulingGates=gates(GATE))
        pod = api.patch(f"{pods}/p", release(pod), STRATEGIC)

        again = api.patch(f"{pods}/p", release(pod), STRATEGIC)

        assert again["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]


class TestPodsOtherwise:
    def test_env_may_refer_to_an_annotation(self, api: Api, pods: str, make: Make) -> None:
        devices = {"fieldPath": f"metadata.annotations['{DEVICES}']"}
        source = {"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {"fieldRef": devices}}

        make(containers=[{"name": "c", "image": "x", "env": [source]}])

        (stored,) = api.get(f"{pods}/p")["spec"]["containers"][0]["env"]
        assert stored["valueFrom"]["fieldRef"]["fieldPath"] == devices["fieldPath"]

    def test_nominated_node_name_is_set_through_the_status(
        self, api: Api, pods: str, make: Make
    ) -> None:
        make(schedulingGates=gates(GATE))

        api.patch(f"{pods}/p/status", {"status": {"nominatedNodeName": "node-a"}}, MERGE)

        stored = api.get(f"{pods}/p")
        assert stored["status"]["nominatedNodeName"] == "node-a"
        assert stored["spec"]["schedulingGates"] == gates(GATE)

    def test_annotations_come_in_through_the_status_too(
        self, api: Api, pods: str, make: Make
    ) -> None:
        """The reason for a policy on pods/status."""
        make()
        forged = {"metadata": {"annotations": {ASSIGNMENT: json.dumps({"version": 1})}}}

        api.patch(f"{pods}/p/status", forged, MERGE)

        assert ASSIGNMENT in api.get(f"{pods}/p")["metadata"]["annotations"]

    def test_an_eviction_has_preconditions(self, api: Api, pods: str, make: Make) -> None:
        """With the version among them: a wrong UID alone is tried for ten seconds in there."""
        pod = make()
        version = pod["metadata"]["resourceVersion"]

        def eviction(**preconditions: str) -> JSON:
            return {"metadata": {"name": "p"}, "deleteOptions": {"preconditions": preconditions}}

        other = eviction(uid=NO_UID, resourceVersion=version)
        assert refused(api.post, f"{pods}/p/eviction", other).status == 409
        api.post(f"{pods}/p/eviction", eviction(uid=pod["metadata"]["uid"]))

        eventually(lambda: api.find(f"{pods}/p") is None, what="the pod is gone")


class TestWatches:
    def test_what_is_older_than_the_servers_memory_is_gone(
        self, plane: ControlPlane, api: Api, pods: str, make: Make
    ) -> None:
        pod = make()
        api.post(pods, {"metadata": {"name": "q"}, "spec": pod["spec"]})
        page = api.get(pods, {"limit": "1"})["metadata"]["continue"]
        api.delete(f"{pods}/q")

        plane.compact()
        plane.restart_apiserver()

        old = pod["metadata"]["resourceVersion"]
        assert first_answer(api, pods, {"resourceVersion": old}) == 410
        assert refused(api.get, pods, {"limit": "1", "continue": page}).status == 410
