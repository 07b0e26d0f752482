"""Which gang a pod is of: by its own words, by its PodGroup, by what made it."""

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidInput, InvalidRequest
from scheduler.core.model.gangowners import ObjectRef, OwnerPaths, Owners
from scheduler.core.model.gangreader import gang_by_words, gang_of
from scheduler.core.model.gangs import Gang, Topology
from scheduler.core.model.gangshapes import Shape

JSON = dict[str, Any]

GPU: JSON = {"metadata": {"annotations": {names.GPU_FRACTION: "1"}}, "spec": {}}
WHOLE: JSON = {"spec": {"containers": [{"resources": {"limits": {names.NVIDIA_GPU: 1}}}]}}
PLAIN: JSON = {"spec": {"containers": [{"name": "main"}]}}

JOB = ObjectRef("batch/v1", "Job", "jobs", "lab", "train", "u")
JOB_SET = ObjectRef("jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets", "lab", "train", "u")
LWS = ObjectRef(
    "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets", "lab", "serve"
)
POD_GROUP = ObjectRef("scheduling.k8s.io/v1beta1", "PodGroup", "podgroups", "lab", "workers")

_JS, _LWS = "jobset.sigs.k8s.io/", "leaderworkerset.sigs.k8s.io/"


def pod(
    *,
    size: str | None = None,
    name: str | None = None,
    made_by: ObjectRef | None = None,
    group: str = "",
    labels: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
) -> JSON:
    annotations = {names.GANG: name, names.GANG_SIZE: size}
    said = {key: text for key, text in annotations.items() if text is not None}
    metadata: JSON = {"namespace": "lab", "annotations": said | dict(notes or {})}
    metadata["labels"] = dict(labels or {})
    if made_by is not None:
        owner = {"apiVersion": made_by.api_version, "kind": made_by.kind, "name": made_by.name}
        metadata["ownerReferences"] = [{**owner, "uid": made_by.uid, "controller": True}]
    return {
        "metadata": metadata,
        "spec": {"schedulingGroup": {"podGroupName": group}} if group else {},
    }


def of_job_set(job: str = "workers", attempt: str = "0", **more: Any) -> JSON:
    labels = {f"{_JS}jobset-name": "train", f"{_JS}jobset-uid": "u"}
    labels |= {f"{_JS}replicatedjob-name": job, f"{_JS}restart-attempt": attempt}
    made_by = ObjectRef("batch/v1", "Job", "jobs", "lab", f"train-{job}-0", "j")
    return pod(labels=labels, made_by=made_by, **more)


def of_lws(index: int, group: int = 0, size: int = 4) -> JSON:
    labels = {f"{_LWS}name": "serve", f"{_LWS}group-index": str(group)}
    labels |= {f"{_LWS}worker-index": str(index)}
    return pod(labels=labels, notes={f"{_LWS}size": str(size)})


def job(parallelism: int | None = None, completions: int | None = None, of: JSON = GPU) -> JSON:
    spec = {"parallelism": parallelism, "completions": completions, "template": of}
    return {"spec": {key: value for key, value in spec.items() if value is not None}}


def job_set(*jobs: tuple[str, int, JSON], **spec: Any) -> JSON:
    listed = [
        {"name": name, "replicas": replicas, "template": inner} for name, replicas, inner in jobs
    ]
    return {"spec": {"replicatedJobs": listed, **spec}}


def lws(size: int, *, leader: JSON | None = None, policy: str = "LeaderCreated") -> JSON:
    template = {"size": size, "workerTemplate": GPU}
    if leader is not None:
        template["leaderTemplate"] = leader
    return {"spec": {"leaderWorkerTemplate": template, "startupPolicy": policy}}


def read(stored: JSON, *found: tuple[ObjectRef, JSON], owners: Owners | None = None) -> Gang | None:
    """Read a pod where these objects are there."""
    table, there = owners or Owners(), dict(found)

    def known(ref: ObjectRef) -> Shape | str:
        return table.shape_of(ref)(there[ref]) if ref in there else f"{ref} isn't there"

    return gang_of(stored, table, known)


# ---------------------------------------------------------------------------- its own words


def test_a_gang_has_a_name_in_its_namespace_and_a_size() -> None:
    assert gang_by_words(pod(name="train", size="4")) == Gang("lab/train", 4)
    assert gang_by_words(pod()) is None


@pytest.mark.parametrize(
    ("key", "required"), [(names.REQUIRED_TOPOLOGY, True), (names.PREFERRED_TOPOLOGY, False)]
)
def test_how_near_pods_sit_is_said_of_gangs_by_words_and_of_those_by_objects(
    key: str, required: bool
) -> None:
    near, topology = {key: "example.com/rack"}, Topology("example.com/rack", required=required)
    named = gang_by_words(pod(name="train", size="4", notes=near))
    assert named == Gang("lab/train", 4, topology=topology)
    assert named.level == ("example.com/rack" if required else "")
    owner = (JOB_SET, job_set(("workers", 3, job(2))))
    found = read(of_job_set("workers", notes=near), owner)
    assert found is not None
    assert (found.size, found.topology) == (6, topology)


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ({names.REQUIRED_TOPOLOGY: ""}, 'required-topology: ""; name a label of nodes, such as'),
        ({names.PREFERRED_TOPOLOGY: "a/b/c"}, 'preferred-topology: "a/b/c"; name a label of nodes'),
        (
            {names.REQUIRED_TOPOLOGY: "rack", names.PREFERRED_TOPOLOGY: "rack"},
            f"give either {names.REQUIRED_TOPOLOGY} or {names.PREFERRED_TOPOLOGY}, not both",
        ),
    ],
)
def test_what_is_not_said_well_of_how_near_they_sit_is_refused(
    notes: dict[str, str], says: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        gang_by_words(pod(name="train", size="4", notes=notes))
    assert says in str(refused.value)


@pytest.mark.parametrize("size", [None, "none"])
def test_who_is_of_no_gang_sits_near_nobody(size: str | None) -> None:
    with pytest.raises(InvalidRequest, match="how near pods sit is said of gangs"):
        gang_by_words(pod(size=size, notes={names.PREFERRED_TOPOLOGY: "rack"}))


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ({"name": "train"}, f"a gang has a name and a size; set {names.GANG_SIZE} as well"),
        ({"name": "", "size": "4"}, f"set {names.GANG} as well, or leave both out"),
        ({"name": "t", "size": "0"}, '"0"; write how many pods start together, 1 to'),
        ({"name": "t", "size": "-1"}, '"-1"; write how many pods start together'),
        ({"name": "t", "size": "²"}, '"²"; write how many pods start together'),
        ({"name": "t", "size": "9" * 99}, "write how many pods start together"),
        ({"name": "t", "size": "0" * 99 + "1" * 99}, "write how many pods start together"),
        ({"name": "t", "size": "all"}, f'"all" goes without {names.GANG}; leave that out'),
        ({"name": "t", "size": "none"}, f'"none" goes without {names.GANG}; leave that out'),
        ({"size": "4"}, "is of what made the pod, which is none of Job, JobSet, LeaderWorkerSet"),
        ({"size": "all"}, f"set {names.GANG} as well"),
    ],
)
def test_a_gang_that_can_not_be_read_is_refused(notes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        gang_by_words(pod(**notes))
    assert says in str(refused.value)


def test_words_of_its_own_go_before_all_objects() -> None:
    stored = of_job_set(name="ours", size="2", group="workers")
    assert read(stored) == Gang("lab/ours", 2)
    assert read(of_job_set(size="none", group="workers")) is None


# ----------------------------------------------------------------------------- its PodGroup


def test_a_pod_group_says_how_many_start_together() -> None:
    gang = {"spec": {"schedulingPolicy": {"gang": {"minCount": 3}}}}
    found = Gang("lab/PodGroup:workers", 3)
    assert read(pod(group="workers"), (POD_GROUP, gang)) == found
    # It goes before what made the pod.
    assert read(of_job_set(group="workers"), (POD_GROUP, gang)) == found
    basic: JSON = {"spec": {"schedulingPolicy": {"basic": {}}}}
    assert read(of_job_set(group="workers"), (POD_GROUP, basic)) is None


def test_who_is_of_an_object_that_nobody_knows_starts_with_nobody_yet() -> None:
    found = read(pod(group="workers"))
    assert found == Gang("lab/PodGroup:workers", 0, unknown="PodGroup workers isn't there")


# ---------------------------------------------------------------------------- what made it


@pytest.mark.parametrize(
    ("owner", "size"),
    [
        (job(), 1),
        (job(4), 4),
        (job(4, 2), 2),
        (job(4, of=WHOLE), 4),
        (job(4, of=PLAIN), 4),
    ],
)
def test_a_job_is_a_gang_where_its_pods_ask_for_it(owner: JSON, size: int) -> None:
    assert read(pod(size="all", made_by=JOB), (JOB, owner)) == Gang(
        "lab/Job:train/u", size, once=True
    )
    assert read(pod(made_by=JOB), (JOB, owner)) is None


def test_pods_that_work_off_a_line_are_no_gang() -> None:
    found = read(pod(size="all", made_by=JOB), (JOB, job(4, 100)))
    assert found is not None
    assert found.unknown == (
        f"Job train has more completions than pods at a time; set both alike, or {names.GANG_SIZE} "
        "to none"
    )
    owner = job_set(("queue", 1, job(4, 100)), ("workers", 2, job(3)))
    assert read(of_job_set("queue"), (JOB_SET, owner)) is None
    gang = Gang("lab/JobSet:train/u/0", 6, once=True)
    assert read(of_job_set("workers"), (JOB_SET, owner)) == gang


def test_a_gang_may_be_smaller_than_what_its_owner_makes() -> None:
    assert read(pod(size="3", made_by=JOB), (JOB, job(8))) == Gang("lab/Job:train/u", 3, once=True)


@pytest.mark.parametrize(
    ("owner", "part", "gang"),
    [
        # All of its Jobs, but for the pods without a GPU.
        (job_set(("workers", 2, job(3))), "workers", ("", 6)),
        (job_set(("driver", 1, job(of=PLAIN)), ("workers", 2, job(3))), "workers", ("", 6)),
        # What asks may be put on pods as they are made.
        (job_set(("driver", 1, job(of=PLAIN)), ("workers", 2, job(3))), "driver", ("", 7)),
        (job_set(("ps", 1, job(2, 1)), ("workers", 2, job(3))), "ps", ("", 7)),
        # Those of which one waits for another: each by itself.
        (
            job_set(
                ("ps", 1, job(2)),
                ("workers", 2, job(3)),
                startupPolicy={"startupPolicyOrder": "InOrder"},
            ),
            *("workers", ("/workers", 6)),
        ),
        (
            job_set(
                ("ps", 1, job(2)),
                ("workers", 2, job(3)),
                startupPolicy={"startupPolicyOrder": "AnyOrder"},
            ),
            *("workers", ("", 8)),
        ),
    ],
)
def test_a_job_set_is_a_gang_by_nature(owner: JSON, part: str, gang: tuple[str, int]) -> None:
    suffix, size = gang
    found = read(of_job_set(part), (JOB_SET, owner))
    assert found == Gang(f"lab/JobSet:train/u/0{suffix}", size, once=True)


def test_jobs_that_depend_on_others_start_by_themselves() -> None:
    owner = job_set(("first", 1, job(2)), ("then", 1, job(3)))
    owner["spec"]["replicatedJobs"][1]["dependsOn"] = [{"name": "first", "status": "Complete"}]
    sizes = [read(of_job_set(part), (JOB_SET, owner)) for part in ("first", "then")]
    assert [each.size for each in sizes if each is not None] == [2, 3]


def test_a_job_set_that_is_made_anew_is_another_gang() -> None:
    owner = job_set(("workers", 1, job(2)))
    first, second = (read(of_job_set(attempt=each), (JOB_SET, owner)) for each in ("0", "1"))
    assert first is not None
    assert second is not None
    assert first.name != second.name


@pytest.mark.parametrize(
    ("owner", "index", "gang"),
    [
        (lws(4), 0, ("", 4)),
        (lws(4), 3, ("", 4)),
        # What the pods say of themselves counts: a rollout changes one group after the other.
        (lws(8), 1, ("", 4)),
        (lws(4, leader=PLAIN), 1, ("", 3)),
        (lws(4, policy="LeaderReady"), 0, ("/leader", 1)),
        (lws(4, policy="LeaderReady"), 2, ("/workers", 3)),
    ],
)
def test_each_group_of_a_leader_worker_set_is_a_gang(
    owner: JSON, index: int, gang: tuple[str, int]
) -> None:
    suffix, size = gang
    found = read(of_lws(index, group=7), (LWS, owner))
    assert found == Gang(f"lab/LeaderWorkerSet:serve/7{suffix}", size)


PYTORCH = OwnerPaths(
    *("kubeflow.org/v1", "PyTorchJob", "pytorchjobs"),
    parts=("spec.pytorchReplicaSpecs.*",),
)
RAY = OwnerPaths(
    *("ray.io/v1", "RayCluster", "rayclusters"),
    parts=("spec.headGroupSpec", "spec.workerGroupSpecs.*"),
    counts=("replicas", "numOfHosts"),
)


@pytest.mark.parametrize(
    ("paths", "spec", "size"),
    [
        (
            PYTORCH,
            {
                "pytorchReplicaSpecs": {
                    "Master": {"replicas": 1, "template": GPU},
                    "Worker": {"replicas": 3, "template": GPU},
                }
            },
            4,
        ),
        (
            PYTORCH,
            {
                "pytorchReplicaSpecs": {
                    "Master": {"template": PLAIN},
                    "Worker": {"replicas": 3, "template": GPU},
                }
            },
            3,
        ),
        (
            RAY,
            {
                "headGroupSpec": {"template": GPU},
                "workerGroupSpecs": [
                    {"replicas": 2, "numOfHosts": 2, "template": GPU},
                    {"replicas": 3, "template": WHOLE},
                ],
            },
            8,
        ),
    ],
)
def test_settings_add_kinds(paths: OwnerPaths, spec: JSON, size: int) -> None:
    ref = ObjectRef(paths.api_version, paths.kind, paths.resource, "lab", "train", "u")
    found = read(pod(made_by=ref), (ref, {"spec": spec}), owners=Owners((paths,)))
    assert found == Gang(f"lab/{paths.kind}:train/u", size, once=True)
    assert read(pod(made_by=ref), (ref, {"spec": spec})) is None


def test_settings_go_before_the_table() -> None:
    always = OwnerPaths("batch/v1", "Job", "jobs", counts=("parallelism",))
    found = read(pod(made_by=JOB), (JOB, job(4, 2)), owners=Owners((always,), ask=()))
    assert found == Gang("lab/Job:train/u", 4, once=True)


def test_settings_say_which_kinds_have_to_ask() -> None:
    owner, ask = (JOB_SET, job_set(("workers", 2, job(3)))), Owners(ask=("Job", "JobSet"))
    assert read(of_job_set(), owner, owners=ask) is None
    gang = Gang("lab/JobSet:train/u/0", 6, once=True)
    assert read(of_job_set(size="all"), owner, owners=ask) == gang
    with pytest.raises(InvalidInput, match=r'gangs\.ask: there is no kind "Jobs"; known are'):
        Owners(ask=("Jobs",))


@pytest.mark.parametrize(
    ("owner", "says"),
    [
        (job(-1), "says -1 for parallelism; write 0 to 100000"),
        ({"spec": {"parallelism": "4"}}, "says '4' for parallelism"),
        ({"spec": {"parallelism": True}}, "says True for parallelism"),
    ],
)
def test_an_object_without_a_sensible_number_is_not_guessed_at(owner: JSON, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        Owners().shape_of(JOB)(owner)


def test_paths_that_lead_nowhere_are_told() -> None:
    shape = PYTORCH.as_kind().shape
    with pytest.raises(InvalidRequest, match=r"has nothing at spec.pytorchReplicaSpecs.\*"):
        shape({"spec": {}})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"api_version": "kubeflow.org"}, "write api_version and kind as its objects have them"),
        ({"kind": "pods/exec"}, "write api_version and kind as its objects have them"),
        ({"resource": "jobs/../secrets"}, "PyTorchJob needs its resource, the plural"),
        ({"parts": ()}, "PyTorchJob: write paths such as spec.workers"),
        ({"counts": ("replicas[0]",)}, "PyTorchJob: write paths such as spec.workers"),
        ({"template": "a..b"}, "PyTorchJob: write paths such as spec.workers"),
    ],
)
def test_a_kind_that_can_not_be_read_is_refused(fields: JSON, says: str) -> None:
    usual: JSON = {
        "api_version": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "resource": "pytorchjobs",
    }
    with pytest.raises(InvalidInput, match=says):
        OwnerPaths(**usual | fields)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("spec", "template", "replicas", "parallelism", "completions", "size"),
                    *("replicatedJobs", "schedulingPolicy", "gang", "minCount", "workers"),
                    *("leaderWorkerTemplate", "leaderTemplate", "workerTemplate", "metadata"),
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from((JOB, JOB_SET, LWS, POD_GROUP)),
    st.dictionaries(st.sampled_from(("spec", "metadata")), _VALUES, max_size=2),
)
def test_whatever_an_object_holds_it_gives_a_size_or_is_refused(
    ref: ObjectRef, stored: JSON
) -> None:
    with contextlib.suppress(InvalidRequest):
        shape = Owners().shape_of(ref)(stored)
        assert min(shape.size("workers"), shape.size("")) >= 1
