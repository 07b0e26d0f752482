"""`python -m hack.clusterdemo`: what `make cluster-demo` runs once the control plane is built."""

import signal
import sys

from scheduler.cli.main import Entry, run

COMMAND = Entry("hack.clusterdemo.command:command", "Share GPUs on a real control plane.")


if __name__ == "__main__":
    # Told to end it ends as by Ctrl-C, and leaves nothing behind. What a shell starts in the
    # background would ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(run(["cluster-demo", *sys.argv[1:]], {"cluster-demo": COMMAND}))
