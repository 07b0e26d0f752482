"""docs/tutorial-kind.md on a control plane of its own: every line that can run here is run.

In place of kind's two workers stand two nodes whose kubelets kwok plays: a run of the training job
ends after seconds, and nothing prints logs. Their agents are real, with the chart's mocked devices.
Lines that need kind itself are told, not run.
"""

import os
import sys
from collections.abc import Iterator

import pytest
import yaml

from tests.docs.blocks import Command, commands, shows
from tests.docs.shell import Shell
from tests.support.controlplane import components, nodes, standin
from tests.support.controlplane.api import JSON
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.layout import BINARIES, ROOT, Options
from tests.support.controlplane.plane import MASTERS, ControlPlane
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.processes import Process
from tests.support.controlplane.waiting import eventually

CHART_VALUES = ROOT / "charts" / "equipoise" / "values.yaml"
KIND_VALUES = ROOT / "hack" / "kind" / "values.yaml"
PAGE = "tutorial-kind.md"
WORKERS = ("equipoise-worker", "equipoise-worker2")
RUN_MILLISECONDS = 4000
LOOKS = ("kubectl get ", "kubectl -n students get ", "kubectl equipoise ")
"""Lines that change nothing; what they show may take a while to come true."""


@pytest.fixture(scope="module", autouse=True)
def swept() -> None:
    """It has a plane of its own, so none is started, and none swept."""


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with ControlPlane(Options(kwok=False, audit=False)) as plane:
        _start_kubelets(plane)
        ours, agents = Installation(plane), list[Process]()
        try:
            ours.apply()
            plane.api.post(standin.PATH, standin.deployment())
            nodes.create(plane.api, WORKERS, nodes.Kind(gpus=0))
            agents += [_start_agent(plane, worker) for worker in WORKERS]
            ours.start("tutorial")
            path = f"{BINARIES}{os.pathsep}{os.environ['PATH']}"
            mine = {**os.environ, "KUBECONFIG": str(plane.kubeconfig()), "PATH": path}
            with Shell(ROOT, mine) as bash:
                yield bash
        finally:
            for agent in agents:
                agent.stop()
            ours.close()


def _start_kubelets(plane: ControlPlane) -> None:
    """Start kwok, with jobs that take a while."""
    stage = yaml.safe_load((BINARIES / "stages" / "pod-complete.yaml").read_text())
    stage["spec"]["delay"] = {"durationMilliseconds": RUN_MILLISECONDS}
    slow = plane.folder / "pod-complete.yaml"
    slow.write_text(yaml.safe_dump(stage))
    argv = components.kwok(plane.layout, plane.options, plane.kubeconfig("kwok", MASTERS))
    argv[argv.index(f"--config={BINARIES / 'stages' / slow.name}")] = f"--config={slow}"
    plane.processes["kwok"] = Process(argv, plane.layout.log("kwok"))


def _start_agent(plane: ControlPlane, node: str) -> Process:
    files = (CHART_VALUES, KIND_VALUES)
    mock: JSON = {}
    for file in files:
        mock |= yaml.safe_load(file.read_text())["agent"]["mock"]
    machine = {"name": node, "cpu": 1, "memory": "1Gi"}
    devices = plane.folder / f"{node}-devices.yaml"
    devices.write_text(
        yaml.safe_dump({**machine, "models": mock["models"], "devices": mock["devices"]})
    )
    argv = [sys.executable, "-m", "scheduler", "agent", "--mock", str(devices), "--node", node]
    argv += ["--kubeconfig", str(plane.agent_kubeconfig(node))]
    argv += ["--host", "127.0.0.1", "--port", str(free_port())]
    return Process(argv, plane.layout.log(f"agent-{node}"), env={"PYTHONPATH": str(ROOT)})


def test_every_line_that_can_run_here_does_what_the_page_shows(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = commands(PAGE)
    assert sum(not each.needs for each in lines) > sum(bool(each.needs) for each in lines)
    for each in lines:
        if each.needs:
            with capsys.disabled():
                print(f"\nnot run, as it needs {each.needs}: {each.line}")
        else:
            _run(shell, each)


def _run(shell: Shell, command: Command) -> None:
    said: list[str] = []

    def right() -> bool:
        status, printed = shell.run(command.line)
        said[:] = [f"$ {command.line}\n{printed}exit status {status}, and not as the page shows"]
        return status == 0 and shows(command.output, printed)

    if not command.line.startswith(LOOKS):
        assert right(), said[0]
        return
    try:
        eventually(right, 30, every=1.0)
    except TimeoutError:
        pytest.fail(said[0])
