"""One bash that runs line after line, as a person's would: variables stay."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_END = "end of the command, with"


class Shell:
    """Lasts as long as its block."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Its input is at an end then, and so is it.
        self._bash.communicate(timeout=10)

    def run(self, line: str) -> tuple[int, str]:
        """Return the exit status and what was printed, errors included."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f'{{ {line}\n}} </dev/null\necho "{_END} $?"\n')
        self._bash.stdin.flush()
        printed = ""
        for each in self._bash.stdout:
            before, end, status = each.partition(_END)
            printed += before
            if end:
                return int(status), printed
        raise RuntimeError(f"the shell ended: {printed}")
