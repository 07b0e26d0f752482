"""Traces are found, read and cleaned up; whatever is wrong with a file is told with its line."""

import gzip
from pathlib import Path

import pytest

from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.model.requests import Request
from scheduler.simulator.traces.trace import DEVICE_MEMORY_MIB
from scheduler.simulator.traces.tracefile import (
    find_traces,
    list_traces,
    read_nodes,
    read_pods,
    read_trace,
)

NODES = "sn,cpu_milli,memory_mib,gpu,model\nb,64000,262144,2,T4\na,8000,1024,0,\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
SPECS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"


def folder(path: Path, *, nodes: str = NODES, pods: str = PODS + "p,1,1,1,500\n") -> Path:
    (path / "nodes.csv").write_text(nodes)
    (path / "pods_tiny.csv").write_text(pods)
    return path


def test_nodes_come_in_order_of_their_names_with_devices_of_nominal_memory(tmp_path: Path) -> None:
    first, second = read_trace(folder(tmp_path), "tiny").nodes
    assert (first.name, first.cpu_milli, first.ram_mib, first.devices) == ("a", 8000, 1024, ())
    assert [device.uuid for device in second.devices] == ["b/0", "b/1"]
    assert {(device.model, device.milli, device.memory_mib) for device in second.devices} == {
        ("T4", 1000, DEVICE_MEMORY_MIB)
    }


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("p,1,2,1,460,", Request(1, 460, cpu_milli=1, ram_mib=2)),
        ("p,1,2,1,1500,", Request(1, 1000, cpu_milli=1, ram_mib=2)),
        ("p,1,2,0,700,T4", Request(0, 0, cpu_milli=1, ram_mib=2)),
        ("p,1,2,8,1000,A|B", Request(8, 1000, cpu_milli=1, ram_mib=2, models=("A", "B"))),
        ("p,1,2,1,5,B|A|A|", Request(1, 5, cpu_milli=1, ram_mib=2, models=("B", "A", "A"))),
        ("p,1.0,2,1,5,", Request(1, 5, cpu_milli=1, ram_mib=2)),
        ("p, 1 ,2,99,1000,", Request(99, 1000, cpu_milli=1, ram_mib=2)),
    ],
)
def test_a_pod_is_cleaned_up_as_in_the_published_runs(
    tmp_path: Path, line: str, request_: Request
) -> None:
    path = tmp_path / "pods.csv"
    path.write_text(SPECS + line + "\n")
    (pod,) = read_pods(path)
    assert pod.request == request_


def test_five_columns_are_enough_and_more_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "five.csv").write_text(PODS + "p,1,2,1,460\n")
    (tmp_path / "more.csv").write_text("qos," + PODS + "LS,p,1,2,1,460\n\n")
    assert read_pods(tmp_path / "five.csv") == read_pods(tmp_path / "more.csv")


def test_files_may_be_gzipped_and_bear_the_names_of_the_repository_they_come_from(
    tmp_path: Path,
) -> None:
    (tmp_path / "openb_node_list_gpu_node.csv").write_text(NODES)
    with gzip.open(tmp_path / "openb_pod_list_default.csv.gz", "wt") as file:
        file.write(PODS + "p,1,1,1,500\n")
    assert list_traces(tmp_path) == ["default"]
    trace = read_trace(tmp_path, "default")
    assert (trace.capacity, trace.demand) == (2000, 500)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, "empty"),
        ("name,cpu_milli\n", 1, 'no column "memory_mib"'),
        ("name," + PODS, 1, 'column "name" twice'),
        (PODS + "p,x,1,1,500\n", 2, 'cpu_milli: "x" is not a number'),
        (PODS + "p,,1,1,500\n", 2, 'cpu_milli: "" is not a number'),
        (PODS + "p,1,1,1,500\np,nan,1,1,500\n", 3, "already|not a number"),
        (PODS + "p,nan,1,1,500\n", 2, 'cpu_milli: "nan" is not a number'),
        (PODS + "p,1,-1,1,500\n", 2, 'memory_mib: "-1" is negative'),
        (PODS + "p,1,1.5,1,500\n", 2, 'memory_mib: "1.5" is not a whole number'),
        (PODS + "p,1,1e20,1,500\n", 2, 'memory_mib: "1e20" is too large'),
        (PODS + f"p,1,{'9' * 5000},1,500\n", 2, "is too large|not a number"),
        (PODS + "p,1,1,1,²\n", 2, 'gpu_milli: "²" is not a number'),
        (PODS + "p,1,1,1,0\n", 2, "gpu_milli must be 1 to 1000"),
        (PODS + "p,1,1,1000,1000\n", 2, 'num_gpu: "1000" is too large'),
        (PODS + "p,1,1\n", 2, "5 columns, this line has 3 values"),
        (PODS + "p,1,1,1,1,1\n", 2, "5 columns, this line has 6 values"),
        (PODS + ",1,1,1,1\n", 2, "name is empty"),
        (PODS + "p,1,1,1,1\np,1,1,1,1\n", 3, 'a pod "p" is listed already'),
        (PODS + 'p,"1,1,1,1\n', 2, "not CSV"),
    ],
)
def test_a_bad_line_is_told_in_one_sentence_with_its_number(
    tmp_path: Path, text: str, line: int | None, says: str
) -> None:
    path = tmp_path / "pods.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidFile) as caught:
        read_pods(path)
    assert caught.value.line == line
    assert any(part in caught.value.problem for part in says.split("|"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"\xff\xfe\x00", "pods.csv", "UTF-8"),
        (b"not gzip", "pods.csv.gz", "unpacked"),
        # Without a time in it: the test's name must be the same in every process.
        (gzip.compress(PODS.encode(), mtime=0)[:-9], "pods.csv.gz", "unpacked"),
    ],
    ids=["no UTF-8", "no gzip", "cut off"],
)
def test_what_is_no_text_is_told(tmp_path: Path, data: bytes, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidFile, match=says):
        read_pods(tmp_path / name)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("n,1,1,2,\n", "model is empty"),
        ("n,1,1,500,T4\n", "too large"),
        ("n,1,1,2,T4\nn,1,1,2,T4\n", "listed already"),
    ],
)
def test_a_bad_node_is_told(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text(NODES.splitlines()[0] + "\n" + line)
    with pytest.raises(InvalidFile, match=says):
        read_nodes(path)


@pytest.mark.parametrize(
    ("nodes", "pods", "says"),
    [
        ("sn,cpu_milli,memory_mib,gpu,model\na,1,1,0,\n", PODS + "p,1,1,1,1\n", "no node has"),
        (NODES, PODS + "p,1,1,0,0\n", "no pod asks"),
        (NODES, PODS, "no pod asks"),
    ],
)
def test_a_trace_without_gpus_is_refused(tmp_path: Path, nodes: str, pods: str, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        read_trace(folder(tmp_path, nodes=nodes, pods=pods), "tiny")


def test_an_unknown_trace_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match='no trace "nonsense"; those there are: tiny'):
        read_trace(folder(tmp_path), "nonsense")


def test_the_option_goes_before_the_environment_and_that_before_the_folder_beside(
    tmp_path: Path,
) -> None:
    places = [tmp_path / name for name in ("option", "environment", "beside")]
    for place in places:
        place.mkdir()
        folder(place)
    option, environment, beside = places
    environ = {"EQUIPOISE_TRACES": str(environment)}
    assert find_traces(str(option), environ, beside=beside) == option
    assert find_traces(None, environ, beside=beside) == environment
    assert find_traces(None, {}, beside=beside) == beside
    assert find_traces(None, {}, beside=tmp_path / "nowhere") is None


@pytest.mark.parametrize(("name", "says"), [("nowhere", "no such folder"), (".", "list of nodes")])
def test_a_folder_that_is_named_must_hold_traces(tmp_path: Path, name: str, says: str) -> None:
    for option, environ in (
        (str(tmp_path / name), {}),
        (None, {"EQUIPOISE_TRACES": str(tmp_path / name)}),
    ):
        with pytest.raises(InvalidFile, match=says):
            find_traces(option, environ)
