"""Where the story takes place: a control plane, which leaves nothing behind if all went well."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click

from hack.clusterdemo import kubelets
from tests.support.controlplane.layout import Options
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.processes import Process
from tests.support.controlplane.replicas import Ports

OPTIONS = Options(kwok=False, audit=False)
"""Without its kwok: ours knows a stage more. Nobody reads the API server's audit log here."""


@dataclass(slots=True)
class Ground:
    """A plane, and where Equipoise listens. `clean`: nobody will want to read the logs."""

    plane: ControlPlane
    ports: Ports = field(default_factory=Ports)
    started: list[Process] = field(default_factory=list)
    clean: bool = False

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a process that ends with the ground; its log is named after it."""
        self.started.append(Process(argv, self.plane.layout.log(name), env=env))

    def check(self) -> None:
        """Raise RuntimeError if something that has to run doesn't."""
        for each in (*self.plane.processes.values(), *self.started):
            if not each.running:
                raise RuntimeError(f"{each.log.stem} ended:\n{each.tail(5)}")

    def freeze(self) -> None:
        """Stop the kubelets: from now on no pod changes by itself."""
        self.plane.processes["kwok"].stop()

    def close(self) -> None:
        """End everything; remove the logs, or say where they are."""
        for each in self.started:
            each.stop()
        self.plane.stop()
        if self.clean:
            self.plane.remove()
        else:
            click.echo(f"the logs of the control plane are kept in {self.plane.folder}", err=True)


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """Start a control plane with kubelets that end pods of the demo; it lasts as the block does."""
    made = Ground(ControlPlane(OPTIONS))
    try:
        made.plane.start()
        kubelets.start(made.plane)
        yield made
    except KeyboardInterrupt:
        made.clean = True
        raise
    finally:
        made.close()
