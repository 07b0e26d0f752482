"""Pods as the API server stores them, read."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import assignment, names
from scheduler.core.model.constraints import NO_CONSTRAINTS, Constraints, Term
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import TenantName
from scheduler.core.model.podreader import gates_of, pinned_to, read_pod
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from tests.core.model.pod_json import container
from tests.support.builders import line, only

OWNER = [{"kind": "Job", "name": "j", "uid": "o1", "controller": True}]


def stored(*, spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    known = {"uid": "u1", "name": "p", "namespace": "lab", "annotations": None}
    return {"metadata": {**known, **metadata}, "spec": {"containers": [], **(spec or {})}}


def read(pod: Any) -> Pod:
    return read_pod(pod, lambda namespace, _user: TenantName(f"team-{namespace}"))


def asking(fraction: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return stored(annotations={names.GPU_FRACTION: fraction}, spec=spec)


@pytest.mark.parametrize(
    ("labels", "user"),
    [
        ({names.USER_LABEL: "jo"}, "jo"),
        ({names.USER_LABEL: ""}, ""),
        ({"app": "x"}, ""),
        (None, ""),
    ],
)
def test_whose_a_pod_is_says_a_label(labels: dict[str, str] | None, user: str) -> None:
    asked = list[tuple[str, str]]()

    def leaf_of(namespace: str, user: str) -> TenantName:
        asked.append((namespace, user))
        return TenantName("whoever")

    pod = read_pod(stored(labels=labels), leaf_of)
    assert (pod.user, pod.tenant, asked) == (user, "whoever", [("lab", user)])


def test_everything_is_read() -> None:
    pod = stored(
        annotations={names.GPU_FRACTION: "0.25", names.PREEMPTIBLE: "false"},
        creationTimestamp="1970-01-02T00:00:01Z",
        ownerReferences=OWNER,
        spec={
            "priority": -3,
            "nodeSelector": {"zone": "a"},
            "containers": [container(cpu="2", memory="1Gi")],
            "schedulingGates": [{"name": "example.com/a"}, {"name": names.GATE}],
        },
    )
    read_ = read(pod)
    assert read_ == Pod(
        uid=read_.uid,
        namespace="lab",
        name="p",
        tenant=TenantName("team-lab"),
        request=Request(1, 250, cpu_milli=2000, ram_mib=1024),
        created=86_401.0,
        priority=-3,
        preemptible=False,
        foreign_gates=("example.com/a",),
        constraints=only(zone="a"),
        pinnable=True,
        owner="o1",
    )
    assert read_.uid == "u1"


def test_what_is_left_out_has_plain_defaults() -> None:
    read_ = read(stored())
    assert (read_.created, read_.priority, read_.preemptible) == (0.0, 0, True)
    assert (read_.foreign_gates, read_.problem, read_.request) == ((), "", Request())
    # Nothing would make it again.
    assert (read_.constraints, read_.pinnable) == (NO_CONSTRAINTS, False)


def claiming(**spec: Any) -> dict[str, Any]:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    return stored(ownerReferences=OWNER, spec={"volumes": volumes, **spec})


def test_bound_volumes_say_where_and_unbound_ones_keep_a_pod_from_being_pinned() -> None:
    zone = (Term((line("zone", "In", "a"),)),)
    team = TenantName("team")
    bound = read_pod(claiming(), lambda *_: team, lambda _: (zone,))
    assert (bound.constraints, bound.pinnable) == (Constraints(terms=(zone,)), True)
    unbound = read_pod(claiming(), lambda *_: team, lambda _: None)
    assert (unbound.constraints, unbound.pinnable) == (NO_CONSTRAINTS, False)
    assert not read_pod(claiming(), lambda *_: team).pinnable


def test_who_has_no_claims_is_not_asked_about_volumes() -> None:
    def refuse(_: object) -> None:
        raise AssertionError

    pod = stored(ownerReferences=OWNER, spec={"volumes": [{"name": "v", "emptyDir": {}}]})
    assert read_pod(pod, lambda *_: TenantName("team"), refuse).pinnable


def test_where_a_pod_may_go_that_runs_is_known_where_it_may_be_moved() -> None:
    where = {"nodeName": "n1", "nodeSelector": {"zone": "a"}}
    moved = read(asking("0.5", where))
    assert moved.constraints == Constraints((("zone", "a"),))
    assert read(stored(spec=where)).constraints is NO_CONSTRAINTS


def test_a_gang_is_that_of_pods_with_a_share() -> None:
    notes = {names.GANG: "train", names.GANG_SIZE: "2"}
    member = asking("0.5", {})
    member["metadata"]["annotations"] |= notes
    found = read(member).gang
    assert found is not None
    assert (found.name.partition("/")[2], found.size) == ("train", 2)
    launcher = stored()
    launcher["metadata"]["annotations"] = notes
    assert read(launcher).gang is None


def test_a_pod_takes_cpu_and_memory_whatever_its_annotations_say() -> None:
    read_ = read(asking("half", {"containers": [container(cpu="2", memory="1Gi")]}))
    assert read_.request == Request(cpu_milli=2000, ram_mib=1024)
    assert "half" in read_.problem
    assert read(asking("half", {"containers": [container(cpu="few")]})).request == Request()
    assert read(asking("half", {"containers": [17]})).request == Request()


@pytest.mark.parametrize("key", ["uid", "name", "namespace"])
@pytest.mark.parametrize("value", [None, "", 17])
def test_a_pod_without_a_name_to_it_is_refused(key: str, value: object) -> None:
    with pytest.raises(InvalidInput, match="metadata"):
        read({"metadata": {**stored()["metadata"], key: value}})


@pytest.mark.parametrize("pod", [{}, {"metadata": None}, {"metadata": []}, {"metadata": "x"}])
def test_what_is_no_pod_is_refused(pod: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"metadata\.uid"):
        read(pod)


@pytest.mark.parametrize("fraction", ["0", "-1", "1.5", "NaN", "half"])
def test_a_request_that_can_not_be_read_becomes_the_pods_problem(fraction: str) -> None:
    read_ = read(asking(fraction))
    assert read_.request == Request()
    assert read_.problem


@pytest.mark.parametrize(
    "spec",
    [{"containers": 17}, {"containers": ["x"]}, {"containers": [{"resources": {"requests": []}}]}],
)
def test_fields_of_another_type_are_a_problem_or_nothing_but_never_an_error(
    spec: dict[str, Any],
) -> None:
    assert read(asking("0.5", spec)).uid == "u1"


def test_annotations_must_leave_room_for_the_assignment_of_who_asks_for_a_gpu() -> None:
    room = assignment.MAX_BYTES - assignment.OURS_BYTES
    used = assignment.size({names.GPU_FRACTION: "0.5", "a": ""})
    notes = {names.GPU_FRACTION: "0.5", "a": "x" * (room - used)}
    assert read(stored(annotations=notes)).problem == ""
    notes["a"] += "x"
    assert str(room) in read(stored(annotations=notes)).problem
    del notes[names.GPU_FRACTION]
    assert read(stored(annotations={"a": "x" * 2 * room})).problem == ""


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_times_are_seconds_since_the_epoch(moment: datetime) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    text = whole.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    assert read(stored(creationTimestamp=text)).created == whole.timestamp()


@pytest.mark.parametrize(
    "text",
    [None, "", 17, "soon", "2026-01-01", "2026-01-01T00:00:00+01:00", "2026-01-01TZ",
     "2026-01-01Tnan:00:00Z", "2026-01-01T00:00:infZ", "2026-1T0:0:0Z"],
)  # fmt: skip
def test_a_time_that_can_not_be_read_is_the_epoch(text: object) -> None:
    assert read(stored(creationTimestamp=text)).created == 0.0


def test_parts_of_a_second_are_read_too() -> None:
    assert read(stored(creationTimestamp="1970-01-01T00:00:01.250000Z")).created == 1.25


@pytest.mark.parametrize(
    ("gates", "found"),
    [(None, ()), ([], ()), ([{"name": "a"}, {"name": "b"}], ("a", "b")), ([{}, "x"], ("",))],
)
def test_gates(gates: object, found: tuple[str, ...]) -> None:
    assert gates_of(stored(spec={"schedulingGates": gates})) == found


def pin(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return stored(spec={"affinity": affinity})


def field(*nodes: str, key: str = "metadata.name", operator: str = "In") -> dict[str, Any]:
    return {"matchFields": [{"key": key, "operator": operator, "values": list(nodes)}]}


@pytest.mark.parametrize(
    ("pod", "nodes"),
    [
        (pin(field("n1")), ("n1",)),
        (pin(field("n1"), field("n2")), ("n1", "n2")),
        (pin({**field("n1"), "matchExpressions": [{"key": "zone"}]}), ("n1",)),
        (pin({"matchExpressions": [{"key": "metadata.name", "values": ["n1"]}]}), ()),
        (pin(field("n1", operator="NotIn")), ()),
        (pin(field("n1", key="spec.name")), ()),
        (pin({}), ()),
        (pin(), ()),
        (stored(), ()),
        (stored(spec={"affinity": None}), ()),
        (stored(spec={"affinity": {"nodeAffinity": {}}}), ()),
    ],
)
def test_only_required_names_pin(pod: dict[str, Any], nodes: tuple[str, ...]) -> None:
    assert pinned_to(pod) == nodes


@pytest.mark.parametrize(
    ("notes", "problem"),
    [
        ({names.GANG_SIZE: "all"}, "is of what made the pod"),
        ({names.GANG: "g"}, f"set {names.GANG_SIZE} as well"),
        ({names.REQUIRED_TOPOLOGY: "rack"}, "how near pods sit is said of gangs"),
        ({"x": "x" * 250_000}, "its annotations must leave room"),
    ],
    ids=["its owner is gone", "half a gang", "near nobody", "too large"],
)
def test_what_can_only_keep_a_pod_from_starting_takes_nothing_from_who_runs(
    notes: dict[str, str], problem: str
) -> None:
    mine = {names.GPU_FRACTION: "0.5", names.PREEMPTIBLE: "false", names.MAX_RUNTIME: "5m"}
    waits = read(stored(annotations=mine | notes))
    assert problem in waits.problem
    assert waits.request == Request()
    runs = read(stored(annotations=mine | notes, spec={"nodeName": "n1"}))
    assert (runs.problem, runs.request, runs.gang) == ("", Request(1, 500), None)
    assert (runs.preemptible, runs.max_runtime) == (False, 300.0)
