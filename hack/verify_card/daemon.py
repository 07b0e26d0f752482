"""An MPS daemon of our own: in a folder of its own, for one card, ended afterwards.

It changes no setting of the card: under the compute mode "default" programs choose by the folder
that they are told whether they use a daemon, and which.
"""

import os
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

CONTROL = "nvidia-cuda-mps-control"
PATIENCE_SECONDS = 30


class NoDaemon(Exception):
    """There is no MPS here, or it doesn't start."""


class Daemon:
    """The daemon while it runs; `env` is what its clients need to find it."""

    def __init__(self, uuid: str) -> None:
        self._control = shutil.which(CONTROL)
        self._folder = Path(tempfile.mkdtemp(prefix="verify-card-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.env = {
            "CUDA_MPS_PIPE_DIRECTORY": str(self._folder / "pipe"),
            "CUDA_MPS_LOG_DIRECTORY": str(self._folder / "log"),
        }
        self._whole = {**os.environ, **self.env, "CUDA_VISIBLE_DEVICES": uuid}

    def __enter__(self) -> "Daemon":
        if self._control is None:
            raise NoDaemon(f"{CONTROL} is not installed")
        for folder in self.env.values():
            Path(folder).mkdir()
        # A daemon that held a pipe of ours open would keep us waiting for its end.
        run = subprocess.run(
            [self._control, "-d"],
            env=self._whole,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        if run.returncode:
            raise NoDaemon(f"it doesn't start: {self.log() or run.returncode}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.tell("quit -t 10")
        _wait(lambda: not (self._folder / "pipe" / "control").exists())
        shutil.rmtree(self._folder, ignore_errors=True)

    def tell(self, command: str) -> str:
        """Give the daemon a command and return what it says."""
        assert self._control is not None
        run = subprocess.run(
            [self._control],
            env=self._whole,
            input=command + "\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return (run.stdout + run.stderr).strip()

    def servers(self) -> list[int]:
        """Return the PIDs of its servers; it starts one with its first client."""
        return [int(word) for word in self.tell("get_server_list").split() if word.isdigit()]

    def log(self) -> str:
        """Return the last lines of its logs."""
        texts = [
            path.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            for path in sorted((self._folder / "log").glob("*.log"))
        ]
        return " | ".join(line for lines in texts for line in lines)


def _wait(done: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not done() and time.monotonic() - begin < PATIENCE_SECONDS:
        time.sleep(0.1)
