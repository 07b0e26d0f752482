"""Gangs by objects on the real control plane: PodGroup, JobSet, LeaderWorkerSet and Job.

Kubernetes' own controller runs the Jobs. JobSet's and LeaderWorkerSet's CRDs are those of their
modules; what their controllers would make is made here, with the labels that they set.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.pods import Room
from tests.cluster.tenants import installation, rooms_of
from tests.cluster.test_gangs import bound, deploy, drop, members, running, template, told
from tests.support.controlplane import modules
from tests.support.controlplane.api import JSON, MERGE
from tests.support.controlplane.installed import ACCOUNT, NAMESPACE, USER, Installation, is_asked
from tests.support.controlplane.layout import STAGES, Options
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually, stays

GATE = "--feature-gates=GenericWorkload=true"
OPTIONS = Options(
    apiserver=(GATE, "--runtime-config=scheduling.k8s.io/v1beta1=true"),
    controller_manager=(GATE,),
    # Pods of Jobs go on and on, too.
    stages=tuple(stage for stage in STAGES if stage.name != "pod-complete.yaml"),
)
CRDS = (
    (modules.JOB_SET, "config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml"),
    (
        modules.LEADER_WORKER_SET,
        "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml",
    ),
)
GPUS = 4
BROKEN = 20.0
"""A Job's controller waits for ten seconds before it makes a pod again."""

SETTINGS: dict[str, Any] = {
    "reclaim": {
        "patience_seconds": 2.0,
        "min_runtime_seconds": 1,
        "grace_seconds": 2,
        "broken_gang_seconds": BROKEN,
    },
    "gangs": {
        "look_seconds": 2.0,
        "owners": [
            {"api_version": "apps/v1", "kind": "StatefulSet", "resource": "statefulsets"},
        ],
        "ask": ["Job", "StatefulSet"],
    },
}
ONE, OTHER = "owners-one", "owners-other"
NAME = "gang-owners"

JOB_SETS, LABEL = "jobset.x-k8s.io/v1alpha2", "jobset.sigs.k8s.io/"
LWS_API, LWS_LABEL = "leaderworkerset.x-k8s.io/v1", "leaderworkerset.sigs.k8s.io/"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One that serves PodGroups, unlike that of the other tests."""
    with ControlPlane(OPTIONS) as plane:
        plane.apply(*(modules.file(*each) for each in CRDS))
        yield plane


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    with installation(plane, NAME, (ONE, OTHER), gpus=GPUS, settings=SETTINGS) as ours:
        may_get(plane, "apps", "statefulsets")
        yield ours


def may_get(plane: ControlPlane, group: str, resource: str) -> None:
    """Let Equipoise read the kind that settings add, as the chart does then."""
    rules = [{"apiGroups": [group], "resources": [resource], "verbs": ["get"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    rbac, head = "/apis/rbac.authorization.k8s.io/v1", {"metadata": {"name": NAME}}
    plane.api.post(f"{rbac}/clusterroles", {**head, "rules": rules})
    bindings = {**head, "roleRef": role, "subjects": [subject]}
    plane.api.post(f"{rbac}/clusterrolebindings", bindings)


@pytest.fixture
def rooms(plane: ControlPlane, installed: Installation) -> Iterator[tuple[Room, Room]]:
    """Those of two tenants."""
    with rooms_of(plane, (ONE, OTHER)) as (first, second):
        yield first, second


def path(room: Room, api_version: str, resource: str) -> str:
    return f"/apis/{api_version}/namespaces/{room.namespace}/{resource}"


# --------------------------------------------------------------------------------- PodGroup


GROUPS = "scheduling.k8s.io/v1beta1", "podgroups"


def group(room: Room, name: str, policy: JSON) -> None:
    body = {"metadata": {"name": name}, "spec": {"schedulingPolicy": policy}}
    room.api.post(path(room, *GROUPS), body)


def grouped(room: Room, name: str, count: int, *, notes: dict[str, str] | None = None) -> None:
    """A Deployment whose pods are of the PodGroup of the same name."""
    body = template("1", name, notes or {})
    body["spec"]["schedulingGroup"] = {"podGroupName": name}
    selector: JSON = {"matchLabels": {"app": name}}
    spec = {"replicas": count, "selector": selector, "template": body}
    room.api.post(path(room, "apps/v1", "deployments"), {"metadata": {"name": name}, "spec": spec})


def starts_together(room: Room, name: str) -> None:
    """Pods of a PodGroup that is made later than they, and has no room at first."""
    deploy(room, "before", "1")
    eventually(lambda: running(room, "before") == 1, 20, what="the one before runs")
    grouped(room, name, GPUS)
    eventually(lambda: len(told(room, "GangUnknown")) == GPUS, 20, what="all are told")
    group(room, name, {"gang": {"minCount": GPUS}})
    eventually(lambda: len(told(room, "NoRoom")) == GPUS, 20, what="all wait for room")
    stays(lambda: bound(room, name) == 0, 2, every=0.1, what="none of it starts")
    drop(room, "before")
    eventually(lambda: running(room, name) == GPUS, 20, what="all of it runs")


def test_pods_of_a_pod_group_start_together(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    starts_together(room, "train")


def test_a_pod_group_is_elastic_and_its_size_may_change(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    group(room, "train", {"gang": {"minCount": 3}})
    grouped(room, "train", 2)
    eventually(lambda: len(told(room, "GangIncomplete")) == 2, 20, what="both are told")
    stays(lambda: bound(room, "train") == 0, 1, every=0.1, what="none of it starts")
    smaller = {"spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}}
    room.api.patch(f"{path(room, *GROUPS)}/train", smaller, MERGE)
    eventually(lambda: running(room, "train") == 2, 20, what="two are enough now")


def test_a_basic_pod_group_is_no_gang(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    group(room, "many", {"basic": {}})
    grouped(room, "many", GPUS + 2)
    eventually(lambda: running(room, "many") == GPUS, 20, what="as many as there is room for run")


# ----------------------------------------------------------------------------------- JobSet


def job(name: str, pods: int, *, owner: JSON | None = None, **labels: str) -> JSON:
    """An Indexed Job, which Kubernetes' own controller runs."""
    body = template("1", name, {})
    body["metadata"]["labels"] |= labels
    body["spec"]["restartPolicy"] = "Never"
    spec = {"parallelism": pods, "completions": pods, "completionMode": "Indexed"}
    metadata: JSON = {"name": name, "labels": labels}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {"metadata": metadata, "spec": {**spec, "backoffLimit": 9, "template": body}}


def job_set(room: Room, name: str, jobs: int, pods: int) -> JSON:
    """A JobSet of a driver without a GPU and of such Jobs, and those Jobs."""
    inner = job("none", pods)["spec"]
    driver = job("none", 1)["spec"]
    driver["template"]["metadata"].pop("annotations")
    replicated = [
        {"name": "driver", "replicas": 1, "template": {"spec": driver}},
        {"name": "workers", "replicas": jobs, "template": {"spec": inner}},
    ]
    body = {"apiVersion": JOB_SETS, "kind": "JobSet", "metadata": {"name": name}}
    made: JSON = room.api.post(
        path(room, JOB_SETS, "jobsets"), {**body, "spec": {"replicatedJobs": replicated}}
    )
    return made


def jobs_of(room: Room, made: JSON, number: int, pods: int) -> None:
    """One of its Jobs, as JobSet's controller makes it."""
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    owner = {"apiVersion": JOB_SETS, "kind": "JobSet", "name": name, "uid": uid}
    labels = {
        f"{LABEL}jobset-name": name,
        f"{LABEL}jobset-uid": uid,
        f"{LABEL}replicatedjob-name": "workers",
        f"{LABEL}restart-attempt": "0",
        f"{LABEL}job-index": str(number),
    }
    body = job(f"{name}-workers-{number}", pods, owner={**owner, "controller": True}, **labels)
    body["spec"]["template"]["metadata"]["labels"]["app"] = name
    room.api.post(path(room, "batch/v1", "jobs"), body)


def test_all_jobs_of_a_job_set_start_together(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    made = job_set(room, "train", 2, 2)
    jobs_of(room, made, 0, 2)
    eventually(lambda: len(told(room, "GangIncomplete")) == 2, 20, what="both pods are told")
    stays(lambda: bound(room, "train") == 0, 1, every=0.1, what="none of it starts")
    jobs_of(room, made, 1, 2)
    eventually(lambda: running(room, "train") == 4, 20, what="all of it runs")


def test_a_killed_member_of_a_job_set_comes_back_alone(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    made = job_set(room, "train", 2, 2)
    for number in range(2):
        jobs_of(room, made, number, 2)
    eventually(lambda: running(room, "train") == 4, 20, what="all of it runs")
    killed, *others = members(room, "train")
    room.api.delete(f"{room.path}/{killed['metadata']['name']}")
    eventually(lambda: running(room, "train") == 3, 10, what="one is gone")
    eventually(lambda: running(room, "train") == 4, 30, what="another one is there instead")
    assert told(room, "GangBroken") == []
    left = {each["metadata"]["uid"] for each in members(room, "train")}
    assert {each["metadata"]["uid"] for each in others} < left


def test_a_restart_of_serve_knows_the_gang_again(
    installed: Installation, rooms: tuple[Room, Room]
) -> None:
    room, _ = rooms
    made = job_set(room, "train", 2, 2)
    for number in range(2):
        jobs_of(room, made, number, 2)
    eventually(lambda: running(room, "train") == 4, 20, what="all of it runs")
    replica, before = installed.replicas[NAME], installed.replicas[NAME].containers["serve"].starts
    replica.kill_serve()
    eventually(lambda: replica.containers["serve"].starts > before, 20, what="it starts again")
    eventually(lambda: replica.ready and is_asked(room.api, ONE), 30, what="it is there again")
    killed, *others = members(room, "train")
    room.api.delete(f"{room.path}/{killed['metadata']['name']}")
    eventually(lambda: len(members(room, "train")) == 4, 30, what="it is made again")
    eventually(lambda: running(room, "train") == 4, 20, what="and runs")
    left = {each["metadata"]["uid"] for each in members(room, "train")}
    assert {each["metadata"]["uid"] for each in others} < left


def test_what_is_left_of_a_job_set_that_lost_a_member_makes_room(
    rooms: tuple[Room, Room],
) -> None:
    room, other = rooms
    made = job_set(room, "train", 2, 2)
    for number in range(2):
        jobs_of(room, made, number, 2)
    eventually(lambda: running(room, "train") == 4, 20, what="all of it runs")
    deploy(other, "waits", "1", 3)
    killed, *_ = members(room, "train")
    room.api.delete(f"{room.path}/{killed['metadata']['name']}")
    eventually(lambda: running(other, "waits") == 3, BROKEN + 40, what="the others have room")
    assert running(room, "train") == 0


# -------------------------------------------------------------------------- LeaderWorkerSet


def leader_worker_set(room: Room, name: str, size: int, policy: str) -> None:
    inner = {"size": size, "workerTemplate": template("1", name, {})}
    spec = {"replicas": 1, "leaderWorkerTemplate": inner, "startupPolicy": policy}
    body = {"apiVersion": LWS_API, "kind": "LeaderWorkerSet", "metadata": {"name": name}}
    room.api.post(path(room, LWS_API, "leaderworkersets"), {**body, "spec": spec})


def members_of(room: Room, name: str, size: int, indices: range) -> None:
    """Pods of its first group, as its StatefulSets make them."""
    for index in indices:
        body = template("1", name, {})
        labels = {"name": name, "group-index": "0", "worker-index": str(index)}
        body["metadata"]["labels"] |= {LWS_LABEL + key: text for key, text in labels.items()}
        body["metadata"]["annotations"][f"{LWS_LABEL}size"] = str(size)
        body["metadata"]["name"] = f"{name}-0-{index}" if index else f"{name}-0"
        room.create(body)


def test_a_group_of_a_leader_worker_set_starts_together(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    leader_worker_set(room, "serve", 3, "LeaderCreated")
    members_of(room, "serve", 3, range(2))
    eventually(lambda: len(told(room, "GangIncomplete")) == 2, 20, what="both are told")
    stays(lambda: bound(room, "serve") == 0, 1, every=0.1, what="none of it starts")
    members_of(room, "serve", 3, range(2, 3))
    eventually(lambda: running(room, "serve") == 3, 20, what="all of it runs")


def test_a_leader_whose_workers_come_later_starts_alone(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    leader_worker_set(room, "serve", 3, "LeaderReady")
    members_of(room, "serve", 3, range(1))
    eventually(lambda: running(room, "serve") == 1, 20, what="the leader runs")
    members_of(room, "serve", 3, range(1, 3))
    eventually(lambda: running(room, "serve") == 3, 20, what="the workers run")


# --------------------------------------------------------------------- Job, and other kinds


def test_a_job_is_a_gang_where_it_asks_for_it(
    rooms: tuple[Room, Room], plane: ControlPlane
) -> None:
    room, _ = rooms
    room.api.post(path(room, "batch/v1", "jobs"), job("shared-out", GPUS + 1))
    eventually(lambda: running(room, "shared-out") == GPUS, 20, what="as many run as may")
    gang = job("train", 3)
    gang["spec"]["template"]["metadata"]["annotations"]["equipoise.dev/gang-size"] = "all"
    room.api.post(path(room, "batch/v1", "jobs"), gang)
    eventually(lambda: len(told(room, "NoRoom")) > 1, 20, what="it waits for room")
    stays(lambda: bound(room, "train") == 0, 1, every=0.1, what="none of it starts")
    room.api.delete(
        f"{path(room, 'batch/v1', 'jobs')}/shared-out", {"propagationPolicy": "Background"}
    )
    eventually(lambda: running(room, "train") == 3, 20, what="all of it runs")
    asked = {
        (entry.verb, entry.path)
        for entry in plane.audit.entries(user=USER)
        if entry.resource in {"jobs", "jobsets", "podgroups", "leaderworkersets"}
    }
    # Nothing is listed or watched, and a Job that doesn't ask is never read.
    assert asked == {("get", f"{path(room, 'batch/v1', 'jobs')}/train")}


def test_a_kind_that_settings_add_is_a_gang(rooms: tuple[Room, Room]) -> None:
    room, _ = rooms
    body = template("1", "ranks", {"gang_size": "all"})
    selector: JSON = {"matchLabels": {"app": "ranks"}}
    spec = {"replicas": GPUS + 1, "selector": selector, "template": body}
    spec |= {"podManagementPolicy": "Parallel", "serviceName": "ranks"}
    sets = path(room, "apps/v1", "statefulsets")
    room.api.post(sets, {"metadata": {"name": "ranks"}, "spec": spec})
    eventually(lambda: len(told(room, "NeverFits")) == GPUS + 1, 20, what="it is too large")
    room.api.patch(f"{sets}/ranks", {"spec": {"replicas": GPUS}}, MERGE)
    eventually(lambda: running(room, "ranks") == GPUS, 20, what="all of it runs")


# ------------------------------------------------------------------- kube-scheduler's own


def test_pods_of_a_pod_group_start_together_where_kube_scheduler_sees_to_it_too(
    installed: Installation, rooms: tuple[Room, Room]
) -> None:
    room, _ = rooms
    installed.replicas[NAME].close()
    installed.start("its-own", flags=(GATE,), settings=SETTINGS)
    starts_together(room, "train")
    conditions = room.api.get(f"{path(room, *GROUPS)}/train")["status"]["conditions"]
    # So it was the plugin that let it go.
    assert [(each["type"], each["status"]) for each in conditions] == [
        ("PodGroupInitiallyScheduled", "True")
    ]
    killed, *others = members(room, "train")
    room.api.delete(f"{room.path}/{killed['metadata']['name']}")
    eventually(lambda: running(room, "train") == GPUS, 20, what="another one is there instead")
    left = {each["metadata"]["uid"] for each in members(room, "train")}
    assert {each["metadata"]["uid"] for each in others} < left
