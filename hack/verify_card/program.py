"""A program that uses a card as it is told: a command a line in, an answer (JSON) a line out.

    python -m hack.verify_card.program [VARIABLE...]

Drops the variables from its environment before it meets CUDA, as any program may. `Program` is how
others start it and talk to it; it may be one of our pods' programs for all that the driver knows.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hack.verify_card.cuda import Cuda, CudaError

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 60.0

Answer = dict[str, Any]


class NoAnswer(Exception):
    """The program ended or hangs, or CUDA refused what must work."""


class Program:
    """One such process. Commands:

    `state` → sms, free_mib, total_mib; `take MIB` and `release`; `fill MIB` → mib, what could be
    had, at most so much; `busy SECONDS` → launches a second as `rate`; `fail`. An answer holds
    `error`, CUDA's name for it, if CUDA said no; else "".
    """

    def __init__(self, env: Mapping[str, str], *, forget: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hack.verify_card.program", *forget],
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        try:
            self.refused = str(self.answer()["error"])
        except NoAnswer:
            # Nobody else knows of it yet.
            self.kill()
            raise

    def ask(self, command: str) -> Answer:
        """Give a command and return the answer."""
        self.tell(command)
        return self.answer()

    def tell(self, command: str) -> None:
        """Give a command; ask for its answer later."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise NoAnswer(f"the program has ended before it was told: {command}") from None

    def answer(self) -> Answer:
        """Return the answer that is due."""
        out = self._process.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], PATIENCE_SECONDS)
        line = out.readline() if ready else ""
        if not line:
            raise NoAnswer("the program gave no answer" if ready else "the program hangs")
        found: Answer = json.loads(line)
        return found

    def close(self) -> None:
        """Let it end by itself."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdout:
            self._process.stdout.close()

    def kill(self) -> None:
        """End it as the kernel ends a program when memory runs out."""
        self._process.kill()
        self._process.wait()


def state(cuda: Cuda) -> Answer:
    free, total = cuda.memory()
    return {"sms": cuda.sms(), "free_mib": free, "total_mib": total}


def fill(cuda: Cuda, most: str) -> Answer:
    """Allocate in blocks of 16 MiB until CUDA says no, and give it all back."""
    taken = 0
    try:
        while taken < int(most):
            cuda.take(16)
            taken += 16
    except CudaError:
        pass
    cuda.release()
    return {"mib": taken}


def busy(cuda: Cuda, seconds: str) -> Answer:
    """Launch one kernel after the other. The first, which compiles it, doesn't count."""
    cuda.spin()
    begin, launches = time.monotonic(), 0
    while time.monotonic() - begin < float(seconds):
        cuda.spin()
        launches += 1
    return {"rate": round(launches / (time.monotonic() - begin), 1)}


COMMANDS: Mapping[str, Callable[..., Answer | None]] = {
    "state": state,
    "take": lambda cuda, mib: cuda.take(int(mib)),
    "release": lambda cuda: cuda.release(),
    "fill": fill,
    "busy": busy,
    "fail": lambda cuda: cuda.fail(),
}


def answered(work: Callable[[], Answer | None]) -> Answer:
    try:
        return {"error": "", **(work() or {})}
    except (CudaError, OSError) as problem:
        return {"error": str(problem)}


def main(forget: Sequence[str]) -> None:
    for name in forget:
        os.environ.pop(name, None)
    opened: list[Cuda] = []
    print(json.dumps(answered(lambda: opened.append(Cuda()))), flush=True)
    for line in sys.stdin:
        word, *numbers = line.split()
        print(json.dumps(answered(lambda: COMMANDS[word](opened[0], *numbers))), flush=True)  # noqa: B023


if __name__ == "__main__":
    main(sys.argv[1:])
