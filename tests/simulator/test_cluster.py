"""The embedded cluster: what it refuses and in which words, and what its watches see."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import names
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.podreader import gates_of, pinned_to
from scheduler.simulator.apierrors import AlreadyBound, ApiError, Conflict, NotFound
from scheduler.simulator.cluster import EmbeddedCluster, Pod
from tests.support.extenders import ManualClock

N1, N2 = NodeName("n1"), NodeName("n2")
NOTES = {"equipoise.dev/devices": "GPU-1"}


def manifest(name: str = "p", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "lab", "annotations": {"own": "1"}, **metadata},
        "spec": {"containers": [{"name": "main"}]},
    }


@pytest.fixture
def cluster() -> EmbeddedCluster:
    return EmbeddedCluster(ManualClock(0.0))


def uid_of(pod: Pod) -> PodUID:
    return PodUID(pod["metadata"]["uid"])


def released(cluster: EmbeddedCluster, **metadata: Any) -> PodUID:
    uid = uid_of(cluster.create(manifest(**metadata)))
    cluster.release(uid, N1)
    return uid


def bind(cluster: EmbeddedCluster, uid: PodUID, node: NodeName = N1, name: str = "p") -> None:
    cluster.bind("lab", name, uid=uid, node=node, annotations=NOTES)


def refusal(cluster: EmbeddedCluster, uid: PodUID, node: NodeName = N1) -> ApiError:
    """Return how a Binding is refused; nothing may have changed, and nobody been told."""
    seen: list[str] = []
    cluster.watch(lambda event, _pod: seen.append(event))
    before, told = copy.deepcopy(list(cluster.pods())), len(seen)
    with pytest.raises(ApiError) as refused:
        bind(cluster, uid, node)
    assert list(cluster.pods()) == before
    assert len(seen) == told
    return refused.value


def test_a_new_pod_is_gated_named_and_dated(cluster: EmbeddedCluster) -> None:
    given_ = manifest()
    given_["spec"]["schedulingGates"] = [{"name": "example.com/quota"}]
    before = copy.deepcopy(given_)
    pod = cluster.create(given_)
    assert given_ == before
    assert gates_of(pod) == ("example.com/quota", names.GATE)
    assert pod["spec"]["schedulerName"] == names.SCHEDULER_NAME
    assert pod["status"] == {"phase": "Pending"}
    assert pod["metadata"]["creationTimestamp"] == "1970-01-01T00:00:00Z"
    assert cluster.get("lab", "p") is pod


def test_a_name_is_taken_until_its_pod_is_deleted_and_its_uid_never_comes_again(
    cluster: EmbeddedCluster,
) -> None:
    first = uid_of(cluster.create(manifest()))
    with pytest.raises(Conflict, match=r'^pods "p" already exists$'):
        cluster.create(manifest())
    cluster.delete(first)
    assert uid_of(cluster.create(manifest())) != first


def test_the_same_story_gives_the_same_uids() -> None:
    one, other = EmbeddedCluster(ManualClock()), EmbeddedCluster(ManualClock(5.0))
    assert uid_of(one.create(manifest())) == uid_of(other.create(manifest()))


def test_a_release_takes_our_gate_and_pins_and_keeps_the_gates_of_others(
    cluster: EmbeddedCluster,
) -> None:
    pod = manifest()
    pod["spec"]["schedulingGates"] = [{"name": "example.com/quota"}]
    uid = uid_of(cluster.create(pod))
    cluster.release(uid, N2)
    stored = cluster.get("lab", "p")
    assert (gates_of(stored), pinned_to(stored)) == (("example.com/quota",), (N2,))


def test_a_binding_stores_node_and_annotations_in_one_write(cluster: EmbeddedCluster) -> None:
    uid = released(cluster)
    seen: list[tuple[str, Any, Any]] = []
    cluster.watch(
        lambda event, pod: seen.append(
            (event, pod["spec"].get("nodeName"), pod["metadata"]["annotations"])
        )
    )
    bind(cluster, uid)
    assert seen == [
        ("ADDED", None, {"own": "1"}),
        ("MODIFIED", "n1", {"own": "1", **NOTES}),
    ]


def test_an_unknown_pod_is_refused(cluster: EmbeddedCluster) -> None:
    problem = refusal(cluster, PodUID("u"))
    assert (str(problem), problem.status) == ('pods "p" not found', 404)


def test_a_deleted_pod_is_refused(cluster: EmbeddedCluster) -> None:
    uid = released(cluster)
    cluster.delete(uid)
    assert isinstance(refusal(cluster, uid), NotFound)


def test_another_pod_of_the_same_name_is_refused(cluster: EmbeddedCluster) -> None:
    before = released(cluster)
    cluster.delete(before)
    now = released(cluster)
    problem = refusal(cluster, before)
    assert problem.status == 409
    assert (
        str(problem) == f"Precondition failed: UID in precondition: {before}, UID in object: {now}"
    )


def test_a_pod_that_is_being_deleted_is_refused(cluster: EmbeddedCluster) -> None:
    problem = refusal(cluster, released(cluster, deletionTimestamp="1970-01-01T00:00:00Z"))
    assert problem.status == 409
    assert str(problem) == "pod p is being deleted, cannot be assigned to a host"


def test_a_gated_pod_is_refused(cluster: EmbeddedCluster) -> None:
    problem = refusal(cluster, uid_of(cluster.create(manifest())))
    assert problem.status == 409
    assert str(problem) == "pod p has non-empty .spec.schedulingGates"


@pytest.mark.parametrize("node", [N1, N2], ids=["the same node", "another node"])
def test_a_bound_pod_is_refused_whatever_the_node(cluster: EmbeddedCluster, node: NodeName) -> None:
    uid = released(cluster)
    bind(cluster, uid)
    problem = refusal(cluster, uid, node)
    assert isinstance(problem, AlreadyBound)
    assert (str(problem), problem.status) == ('pod p is already assigned to node "n1"', 409)


def test_writes_to_a_pod_that_is_gone_are_refused(cluster: EmbeddedCluster) -> None:
    uid = released(cluster)
    cluster.delete(uid)
    for write in (
        lambda: cluster.delete(uid),
        lambda: cluster.release(uid, N1),
        lambda: cluster.set_phase(uid, "Running"),
        lambda: cluster.get("lab", "p"),
    ):
        with pytest.raises(NotFound):
            write()


def test_a_watch_first_tells_all_that_is_there_then_every_write(cluster: EmbeddedCluster) -> None:
    first = released(cluster)
    second = uid_of(cluster.create(manifest("q")))
    seen: list[tuple[str, str, str]] = []
    cluster.watch(
        lambda event, pod: seen.append((event, pod["metadata"]["name"], pod["status"]["phase"]))
    )
    assert seen == [("ADDED", "p", "Pending"), ("ADDED", "q", "Pending")]
    seen.clear()
    bind(cluster, first)
    cluster.set_phase(first, "Running")
    cluster.delete(second)
    cluster.delete(first)
    assert seen == [
        ("MODIFIED", "p", "Pending"),
        ("MODIFIED", "p", "Running"),
        ("DELETED", "q", "Pending"),
        ("DELETED", "p", "Running"),
    ]


WRITES = st.lists(
    st.tuples(st.sampled_from(["create", "release", "bind", "phase", "delete"]), st.integers(0, 3)),
    max_size=30,
)


@given(WRITES)
def test_what_was_handed_out_never_changes_and_versions_only_grow(
    writes: list[tuple[str, int]],
) -> None:
    cluster = EmbeddedCluster(ManualClock())
    handed_out: list[tuple[Pod, Pod]] = []
    latest: dict[str, Pod] = {}

    def see(event: str, pod: Pod) -> None:
        handed_out.append((pod, copy.deepcopy(pod)))
        latest[pod["metadata"]["uid"]] = pod
        if event == "DELETED":
            del latest[pod["metadata"]["uid"]]

    cluster.watch(see)
    for verb, number in writes:
        name = f"p{number}"
        try:
            if verb == "create":
                cluster.create(manifest(name))
                continue
            uid = uid_of(cluster.get("lab", name))
            match verb:
                case "release":
                    cluster.release(uid, N1)
                case "bind":
                    bind(cluster, uid, name=name)
                case "phase":
                    cluster.set_phase(uid, "Running")
                case "delete":
                    cluster.delete(uid)
        except ApiError:
            continue
    assert all(pod == as_it_was for pod, as_it_was in handed_out)
    versions = [int(pod["metadata"]["resourceVersion"]) for pod, _ in handed_out]
    assert versions == sorted(set(versions))
    assert list(cluster.pods()) == list(latest.values())
