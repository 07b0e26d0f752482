"""Bodies as kube-scheduler sends them, and all the others."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.pods import Pod
from scheduler.extender import wire
from tests.support.extenders import pod_json, tenant_of


def _body(**fields: Any) -> bytes:
    return orjson.dumps(fields)


def _pod(**changes: Any) -> Pod:
    document = pod_json("p")
    for place, value in changes.items():
        section, key = place.split("_", 1)
        document[section][key] = value
    return wire.decode_pod(document, tenant_of)


def test_names_are_taken_and_nulls_ignored() -> None:
    args = wire.decode_filter(_body(Pod=pod_json("p"), Nodes=None, NodeNames=["a", "b"]))
    assert (args.names, args.items) == (["a", "b"], None)


def test_top_level_keys_may_be_of_any_case_as_in_go() -> None:
    args = wire.decode_filter(_body(pod=pod_json("p"), nodenames=["a"]))
    assert args.names == ["a"]


def test_whole_nodes_serve_as_names_and_are_given_back() -> None:
    nodes = [{"metadata": {"name": name}, "status": {}} for name in ("a", "b")]
    args = wire.decode_filter(_body(Pod=pod_json("p"), Nodes={"items": nodes}, NodeNames=None))
    assert args.names == ["a", "b"]
    answer = wire.encode_filter(wire.FilterResult([NodeName("b")]), args.items)
    assert orjson.loads(answer)["Nodes"] == {"items": [nodes[1]]}


def test_no_nodes_at_all_are_no_error() -> None:
    assert wire.decode_filter(_body(Pod=pod_json("p"), Nodes=None, NodeNames=None)).names == []


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 5_000, "not JSON"),
        (b"NaN", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no Pod"),
        (b'{"Pod": null}', "no Pod"),
        (b'{"Pod": 5}', "no Pod"),
        (b'{"Pod": {}, "NodeNames": "a"}', "NodeNames"),
        (b'{"Pod": {}, "NodeNames": [["a"]]}', "NodeNames"),
        (b'{"Pod": {}, "NodeNames": [null]}', "NodeNames"),
        (b'{"Pod": {}, "Nodes": {"items": [5]}}', "nodeCacheCapable"),
        (b'{"Pod": {}, "Nodes": 5}', "nodeCacheCapable"),
    ],
)
def test_a_body_that_is_none_is_answered_in_one_sentence(body: bytes, word: str) -> None:
    with pytest.raises(wire.WireError) as problem:
        wire.decode_filter(body)
    assert word in str(problem.value)


@pytest.mark.parametrize("key", ["PodName", "PodNamespace", "PodUID", "Node"])
@pytest.mark.parametrize("value", [None, "", 5])
def test_a_binding_needs_all_four_names(key: str, value: object) -> None:
    fields = {"PodName": "p", "PodNamespace": "lab", "PodUID": "u", "Node": "a"}
    assert wire.decode_binding(_body(**fields)).key == "lab/p"
    with pytest.raises(wire.WireError, match=f"no {key};"):
        wire.decode_binding(_body(**{**fields, key: value}))


def test_a_pod_is_read_in_full() -> None:
    gates = [{"name": "equipoise.dev/fair-share"}, {"name": "example.com/quota"}]
    pod = _pod(spec_schedulingGates=gates)
    assert (pod.key, pod.uid, pod.tenant, pod.priority) == ("lab/p", "p", "team-lab", 7)
    assert (pod.request.milli, pod.request.devices, pod.request.cpu_milli) == (500, 1, 1000)
    assert (pod.foreign_gates, pod.created) == (("example.com/quota",), 1_767_225_600.0)
    assert pod.preemptible
    assert pod.problem == ""


@pytest.mark.parametrize("timestamp", [None, "soon", 5])
def test_an_unreadable_time_counts_as_the_oldest(timestamp: object) -> None:
    assert _pod(metadata_creationTimestamp=timestamp).created == 0.0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"metadata_annotations": {"equipoise.dev/gpu-fraction": "1.5"}}, "1.5"),
        ({"metadata_annotations": {"equipoise.dev/gpu-fraction": "NaN"}}, "NaN"),
        ({"metadata_annotations": {"equipoise.dev/gpu-fraction": 0.5}}, "as text"),
        ({"metadata_annotations": ["x"]}, "annotations"),
        ({"spec_containers": "x"}, "containers"),
        ({"spec_containers": [None]}, "containers"),
        (
            {"metadata_annotations": {"equipoise.dev/gpu-fraction": "0.5", "x": "x" * 240_000}},
            "leave room",
        ),
    ],
)
def test_a_request_that_cannot_be_read_becomes_the_pods_problem(
    changes: dict[str, Any], word: str
) -> None:
    pod = _pod(**changes)
    assert word in pod.problem
    assert pod.request.devices == 0


@pytest.mark.parametrize("place", ["metadata_uid", "metadata_name", "metadata_namespace"])
@pytest.mark.parametrize("value", [None, "", 5])
def test_a_pod_without_names_is_refused(place: str, value: object) -> None:
    with pytest.raises(wire.WireError, match="metadata"):
        _pod(**{place: value})


KEYS = [
    "metadata",
    "spec",
    "annotations",
    "containers",
    "uid",
    "name",
    "namespace",
    "priority",
    "schedulingGates",
    "resources",
    "requests",
    "cpu",
    "equipoise.dev/gpu-fraction",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_is_a_pod_or_one_sentence(document: Any) -> None:
    with suppress(InvalidInput):
        args = wire.decode_filter(_body(Pod=document, NodeNames=["a"]))
        assert isinstance(wire.uid_of(args.pod), str)
        pod = wire.decode_pod(args.pod, tenant_of)
        assert not (pod.problem and pod.request.devices)


def test_answers_say_null_and_empty_as_kube_scheduler_expects() -> None:
    failed = {NodeName("a"): "full"}
    assert orjson.loads(wire.encode_filter(wire.FilterResult(failed=failed))) == {
        "Nodes": None,
        "NodeNames": [],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {"a": "full"},
        "Error": "",
    }
    assert orjson.loads(wire.encode_filter_error("boom"))["Error"] == "boom"
    assert orjson.loads(wire.encode_scores([(NodeName("a"), 10)])) == [{"Host": "a", "Score": 10}]
    assert orjson.loads(wire.encode_no_candidates()) == {"NodeNameToMetaVictims": {}}
    assert orjson.loads(wire.encode_binding("")) == {"Error": ""}
