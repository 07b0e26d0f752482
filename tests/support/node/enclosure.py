"""Runs a command in namespaces of its own: network, mounts, processes.

Whatever ends the command or this process ends everything in there. The kernel kills what is in a
PID namespace together with its first process, and mounts and interfaces go with their namespaces.
A folder and empty cgroups are left then; they are removed here, after a kill at the next start.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scheduler.core.model.errors import InvalidInput
from tests.support.controlplane.layout import ROOT
from tests.support.node.layout import BUILD, built, missing_packages

FOLDER = "EQUIPOISE_NODE"
"""Environment, inside: the folder in which everything lies that is made there."""

LOGS = BUILD / "logs"
ENTER = "build/node/enter"
"""A script that enters the enclosure that runs: `enter`, or `enter COMMAND`."""

COVERED = ("/run", "/var/log", "/var/lib/kubelet", "/var/lib/cni")
"""Empty inside: kubelet and containerd write there, wherever they are told to keep their things."""

_PREFIX = "equipoise-node-"
_OWNER, _MADE = "owner", "made"
"""Files in the folder: the process that removes it, and folders of the machine to remove."""

_NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
_CGROUPS = Path("/sys/fs/cgroup")


def inside() -> bool:
    """Whether this process runs in an enclosure."""
    return FOLDER in os.environ


def enclosed() -> Path:
    """Return the folder inside an enclosure; InvalidInput outside of one."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        raise InvalidInput("this has to run on a node of its own; use: make test-node")
    return Path(folder)


def run(argv: Sequence[str]) -> int:
    """Run a command inside and return its exit status; its logs are in LOGS afterwards."""
    _check()
    _sweep_stale()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (folder / _OWNER).write_text(str(os.getpid()))
    _cover(folder)
    _make_cgroups(folder.name)
    child = _start(argv, folder)
    handlers = {
        # Ctrl-C in a terminal reaches the command too, which ends in its own time.
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.kill()),
    }
    try:
        _write_enter(child.pid, folder)
        status = child.wait()
        return status if status >= 0 else 128 - status
    finally:
        (ROOT / ENTER).unlink(missing_ok=True)
        _keep_logs(folder)
        _remove(folder)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _check() -> None:
    if os.geteuid():
        raise InvalidInput("a node needs root: namespaces, mounts, cgroups; try again with sudo")
    if lacking := missing_packages():
        raise InvalidInput(f"something is missing here; run: apt-get install {' '.join(lacking)}")
    built("kubelet")


def _start(argv: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    inside = [sys.executable, "-m", "tests.support.node.inside", *argv]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, FOLDER: str(folder), "TMPDIR": str(folder), "PYTHONPATH": path}
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, *inside], env=env
    )


def _write_enter(parent: int, folder: Path) -> None:
    """Write a script for other terminals; its first process is the child of that one."""
    path = ROOT / ENTER
    path.write_text(
        f"""\
#!/bin/sh
first=$(cat /proc/{parent}/task/{parent}/children) || exit 1
export KUBECONFIG={folder}/kubeconfig
export PATH={BUILD}:{ROOT}/build/controlplane:{Path(sys.executable).parent}:$PATH
[ $# -gt 0 ] || set -- "${{SHELL:-sh}}"
exec nsenter --target "${{first% }}" --net --mount --pid --wd="$PWD" -- "$@"
"""
    )
    path.chmod(0o755)


def _cover(folder: Path) -> None:
    """Make what will be covered by empty folders inside, and note what wasn't there before."""
    made = [path for path in COVERED if not Path(path).exists()]
    (folder / _MADE).write_text("\n".join(made))
    for path in made:
        Path(path).mkdir(parents=True)


def _keep_logs(folder: Path) -> None:
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    for pattern in ("*.log", "equipoise-plane-*/*.log", "kubelet/pods/*/*/*.log"):
        for log in folder.glob(pattern):
            # Of the way to a container's log the pod and the container say whose it is.
            shutil.copy(log, LOGS / "-".join(log.relative_to(folder).parts[-3:]))


def _make_cgroups(name: str) -> None:
    """Make the cgroup below which pods lie, in each hierarchy; _remove takes it away."""
    tops = [_CGROUPS] if (_CGROUPS / "cgroup.controllers").exists() else _CGROUPS.glob("*/")
    for top in tops:
        (top / name).mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # of version 1, where they begin empty
            if (top / "cpuset.sched_load_balance").exists():
                (top / name / file).write_text((top / file).read_text())


def _remove(folder: Path) -> None:
    empty = [Path(path) for path in (folder / _MADE).read_text().splitlines()]
    for top in (_CGROUPS, *_CGROUPS.glob("*/")):
        empty += [Path(path) for path, _, _ in os.walk(top / folder.name, topdown=False)]
    for path in empty:
        with suppress(OSError):
            path.rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def _sweep_stale() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder / _OWNER
        if (folder / _MADE).exists() and not Path(f"/proc/{owner.read_text()}").exists():
            _remove(folder)
