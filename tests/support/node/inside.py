"""The first process of an enclosure: furnishes it, runs one command, and reaps what is orphaned."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from tests.support.node.enclosure import COVERED
from tests.support.node.layout import ADDRESS, ROUTER

_NETWORK = (
    ("link", "set", "lo", "up"),
    # Both ends stay in here, so that no packet leaves the machine.
    ("link", "add", "node0", "type", "veth", "peer", "name", "node1"),
    ("address", "add", f"{ADDRESS}/24", "dev", "node0"),
    ("link", "set", "node0", "up"),
    ("link", "set", "node1", "up"),
    # Addresses of Services need a route before they are translated.
    ("route", "add", "default", "via", ROUTER),
)


def main(argv: Sequence[str]) -> int:
    """Run the command; return its exit status, 128 and the signal's number if one ended it."""
    # The first process of a PID namespace gets no signal that it has no handler for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _furnish()
    command = subprocess.Popen(argv)
    while True:
        pid, status = os.wait()
        if pid == command.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _furnish() -> None:
    # Private to this namespace, but shared within it, as kubelets want it.
    _run("mount", "--make-rshared", "/")
    for path in COVERED:
        _run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path)
    for step in _NETWORK:
        _run("ip", *step)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
