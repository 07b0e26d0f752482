"""kind's configuration by kind's own types, and its scripts against stand-ins that record calls.

kind itself needs Docker. What can be known without it: the configuration is one that kind reads,
ports and labels are those that the chart uses, and the scripts call what is there, in an order that
works, and never another cluster than theirs.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
KIND = ROOT / "hack" / "kind"
CONFIG = ROOT / "kind-config.yaml"

VALUES = KIND / "values.yaml"
BUILT = ROOT / "build" / "tools" / "helm"
HELM = BUILT if BUILT.exists() else shutil.which("helm")

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="go is missing: https://go.dev/dl")

BASICS = (
    *("awk", "basename", "bash", "cat", "cp", "dirname", "git", "grep"),
    *("head", "mktemp", "python3", "rm", "sed", "sh"),
)
"""What else the scripts may call. What people have to install isn't among it, wherever it lies."""

RECORDER = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $1" in
  "docker image") echo sha256:0123456789abcdef ;;
esac
"""


def verify(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", "run", ".", str(path)],
        cwd=KIND / "verify",
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@needs_go
def test_kind_reads_it_and_finds_two_managed_workers_and_three_doors() -> None:
    done = verify(CONFIG)
    assert done.returncode == 0, done.stderr
    nodes: Sequence[Mapping[str, Any]] = json.loads(done.stdout)["nodes"]
    workers = [each for each in nodes if each["role"] == "worker"]
    assert [each["labels"] for each in workers] == [{"equipoise.dev/managed": "true"}] * 2
    (above,) = [each for each in nodes if each["role"] == "control-plane"]
    assert {each["hostPort"] for each in above["extraPortMappings"]} == {30880, 30090, 30300}
    assert {each["listenAddress"] for each in above["extraPortMappings"]} == {"127.0.0.1"}


@needs_go
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("labels:", "label:", "field label not found"),
        ("hostPort: 30880", "hostPort: here", "cannot unmarshal"),
        ("kind: Cluster", "kind: Node", "write kind: Cluster"),
    ],
)
def test_what_kind_would_refuse_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    spoilt = tmp_path / "kind-config.yaml"
    spoilt.write_text(CONFIG.read_text().replace(old, new, 1))
    done = verify(spoilt)
    assert done.returncode == 1
    assert told in done.stderr


@pytest.mark.skipif(HELM is None, reason="helm is missing: https://helm.sh/docs/intro/install")
def test_the_chart_takes_its_values() -> None:
    argv = [str(HELM), "template", "equipoise", "charts/equipoise", "--values", str(VALUES)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    made = [each for each in yaml.safe_load_all(done.stdout) if each]
    named = {(each["kind"], each["metadata"]["name"]): each for each in made}
    (port,) = named["Service", "equipoise"]["spec"]["ports"]
    assert port["nodePort"] == 30880
    agent = named["DaemonSet", "equipoise-agent"]["spec"]["template"]["spec"]
    assert "runtimeClassName" not in agent
    assert any("--mock" in each for each in agent["containers"][0]["args"])


def test_every_door_leads_to_a_node_port() -> None:
    served = {yaml.safe_load(VALUES.read_text())["service"]["nodePort"]}
    for path in (ROOT / "deploy" / "monitoring").glob("*.yaml"):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] == "Service":
                served |= {port["nodePort"] for port in each["spec"]["ports"]}
    doors = yaml.safe_load(CONFIG.read_text())["nodes"][0]["extraPortMappings"]
    assert {each["containerPort"] for each in doors} == served


def run(script: str, tools: Path, calls: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("bash") or "bash", str(KIND / script)],
        env={"PATH": str(tools), "CALLS": str(calls)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def stand_ins(folder: Path, *names: str) -> Path:
    tools = folder / "tools"
    tools.mkdir()
    for name in BASICS:
        (tools / name).symlink_to(shutil.which(name) or name)
    for name in names:
        (tools / name).write_text(RECORDER)
        (tools / name).chmod(0o755)
    return tools


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    made = tmp_path / "calls"
    made.touch()
    return made


def test_up_goes_from_cluster_to_samples_and_touches_no_other_cluster(
    tmp_path: Path, calls: Path
) -> None:
    done = run("up.sh", stand_ins(tmp_path, "docker", "kind", "kubectl", "helm"), calls)
    assert done.returncode == 0, done.stderr
    called = calls.read_text().splitlines()
    order = [
        "kind create cluster --config kind-config.yaml",
        "docker build",
        "kind load docker-image equipoise:kind-0123456789ab --name equipoise",
        "helm upgrade --install equipoise charts/equipoise --kube-context kind-equipoise",
        "kubectl --context kind-equipoise apply --kustomize deploy/monitoring",
        "kubectl --context kind-equipoise apply --kustomize deploy/samples",
    ]
    found = [next(i for i, line in enumerate(called) if line.startswith(each)) for each in order]
    assert found == sorted(found)
    for line in called:
        assert not line.startswith("kubectl") or "--context kind-equipoise" in line
        assert not line.startswith("helm") or "--kube-context kind-equipoise" in line
    for port in (30880, 30090, 30300):
        assert f"http://localhost:{port}" in done.stdout


@pytest.mark.parametrize("missing", ["docker", "kind", "kubectl", "helm"])
def test_what_is_missing_is_told_in_one_line(tmp_path: Path, calls: Path, missing: str) -> None:
    have = {"docker", "kind", "kubectl", "helm"} - {missing}
    done = run("up.sh", stand_ins(tmp_path, *have), calls)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{missing} is missing; install it: https://")
    assert len(done.stderr.splitlines()) == 1
    assert calls.read_text() == ""


def test_down_takes_that_cluster_away(tmp_path: Path, calls: Path) -> None:
    assert run("down.sh", stand_ins(tmp_path, "kind"), calls).returncode == 0
    assert calls.read_text() == "kind delete cluster --name equipoise\n"


def test_every_path_that_up_names_is_there() -> None:
    words = (KIND / "up.sh").read_text().split()
    named = [
        word.rstrip(")")
        for word in words
        if word.startswith(("deploy/", "charts/", "hack/", "kind-config"))
    ]
    assert len(named) >= 5
    assert [word for word in named if not (ROOT / word).exists()] == []


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck is missing: apt-get install shellcheck"
)
@pytest.mark.parametrize("script", ["up.sh", "down.sh"])
def test_scripts_have_no_traps(script: str) -> None:
    done = subprocess.run(
        ["shellcheck", str(KIND / script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
