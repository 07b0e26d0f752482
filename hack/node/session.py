"""What `make node` runs inside: a node with Equipoise on it, until it is told to end."""

import signal
import time

from tests.support.node.enclosure import ENTER
from tests.support.node.machine import Machine
from tests.support.node.release import Release

HELP = f"""
A real node with Equipoise on it, after {{seconds:.0f}} s. In another terminal:

  {ENTER}                                a shell in there: kubectl, helm, equipoise
  {ENTER} kubectl get nodes,gpunodes
  {ENTER} kubectl apply -k deploy/samples
  {ENTER} equipoise top

Ctrl-C ends it and leaves nothing behind.
"""


def main() -> None:
    """Start, say how to use it, wait."""
    begin = time.monotonic()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Machine() as machine:
            print("The node is ready; installing Equipoise with helm", flush=True)
            Release(machine).install()
            print(HELP.format(seconds=time.monotonic() - begin), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("Ending", flush=True)


if __name__ == "__main__":
    main()
