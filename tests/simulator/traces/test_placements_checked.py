"""The independent check of placements: it passes what holds and finds what doesn't."""

from pathlib import Path

import pytest

from hack import check_placements
from scheduler.core.packing.policies import POLICIES
from scheduler.simulator.traces.experiment import Task, execute
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.traces.tracefile import find_traces, read_trace

NODES = "sn,cpu_milli,memory_mib,gpu,model\na,8000,1000,2,T4\nb,8000,1000,0,\n"
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
    "half,1000,100,1,500,\nbig,1000,100,1,600,\npair,1000,100,2,1000,T4|A10\n"
    "picky,1000,100,1,500,A10\nbusy,5000,100,0,0,\nfat,1000,600,0,0,\n"
)
TRACES = find_traces(None, {})


def check(folder: Path, lines: str) -> str | None:
    (folder / "nodes.csv").write_text(NODES)
    (folder / "pods.csv").write_text(PODS)
    (folder / "placements.csv").write_text("pod,node,devices\n" + lines)
    return check_placements.check(
        folder / "placements.csv", folder / "nodes.csv", folder / "pods.csv"
    )


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "half,a,0\nhalf,a,0\nhalf,a,1\nbusy,b,\npicky,,\n",
        "pair,a,0;1\nhalf,,\n",
        "busy,a,\nbusy,b,\nbusy,,\n",
    ],
)
def test_what_holds_passes(tmp_path: Path, lines: str) -> None:
    assert check(tmp_path, lines) is None


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("half,a,0\nbig,a,0\n", "3: big on a: device 0: 600 asked for, 500 left"),
        ("busy,b,\nbusy,b,\n", "3: busy on b: CPU: 5000 asked for, 3000 left"),
        ("fat,b,\nfat,b,\n", "3: fat on b: memory: 600 asked for, 400 left"),
        ("pair,a,0\n", "asks for 2 devices and got 1"),
        ("half,a,\n", "asks for 1 devices and got 0"),
        ("pair,a,0;0\n", "one device twice"),
        ("half,a,2\n", "the node has 2"),
        ("half,a,-1\n", "the node has 2"),
        ("picky,a,0\n", "a T4, which it doesn't accept"),
        ("nobody,a,0\n", "no pod nobody"),
        ("half,c,0\n", "no node c"),
        ("half,,0\n", "devices but no node"),
        ("half,,\n", "left out, though a had room"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, lines: str, says: str) -> None:
    assert says in (check(tmp_path, lines) or "nothing found")


def written(trace: Trace, folder: Path) -> tuple[Path, Path]:
    """Write the trace as its users would have it."""
    nodes = ["sn,cpu_milli,memory_mib,gpu,model"]
    for node in trace.nodes:
        model = node.devices[0].model
        fields = (node.name, node.cpu_milli, node.ram_mib, len(node.devices), model)
        nodes.append(",".join(map(str, fields)))
    pods = ["name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec"]
    for pod in trace.pods:
        q = pod.request
        amounts = (q.cpu_milli, q.ram_mib, q.devices, q.milli)
        pods.append(",".join((pod.name, *map(str, amounts), "|".join(q.models))))
    (folder / "nodes.csv").write_text("\n".join(nodes) + "\n")
    (folder / "pods_synthetic.csv").write_text("\n".join(pods) + "\n")
    return folder / "nodes.csv", folder / "pods_synthetic.csv"


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_places_so_that_the_check_passes(policy: str, tmp_path: Path) -> None:
    nodes, pods = written(synthetic_trace(), tmp_path)
    run = execute(Task(read_trace(tmp_path, "synthetic"), policy, 42, 130, placements=True))
    (tmp_path / "placements.csv").write_text(run.placements)
    assert check_placements.check(tmp_path / "placements.csv", nodes, pods) is None
    assert run.failed_pods


@pytest.mark.skipif(
    TRACES is None or not (TRACES / "pods_gpuspec25.csv.gz").is_file(),
    reason="the openb traces are not in ../shared/traces; docs/guides/simulate.md says where "
    "to get them",
)
def test_a_production_trace_passes_the_check(tmp_path: Path) -> None:
    assert TRACES is not None
    run = execute(Task(read_trace(TRACES, "gpuspec25"), "fgd", 42, 130, placements=True))
    (tmp_path / "placements.csv").write_text(run.placements)
    found = check_placements.check(
        tmp_path / "placements.csv", TRACES / "nodes.csv.gz", TRACES / "pods_gpuspec25.csv.gz"
    )
    assert found is None


def test_the_exit_status_tells_right_from_wrong_from_unreadable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--nodes", str(tmp_path / "nodes.csv"), "--pods", str(tmp_path / "pods.csv")]
    statuses = []
    for lines in ("half,a,0\n", "half,a,7\n", "half,a,x\n"):
        check_quietly(tmp_path, lines)
        statuses.append(check_placements.main([str(tmp_path / "placements.csv"), *files]))
    assert statuses == [0, 1, 2]
    assert capsys.readouterr().err.count("\n") == 2


def check_quietly(folder: Path, lines: str) -> None:
    (folder / "nodes.csv").write_text(NODES)
    (folder / "pods.csv").write_text(PODS)
    (folder / "placements.csv").write_text("pod,node,devices\n" + lines)
