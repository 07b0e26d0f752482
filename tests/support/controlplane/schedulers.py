"""kube-scheduler with the configuration that we ship, rendered for a test's ports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.controlplane.layout import BASE, binary
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.processes import Process
from tests.support.controlplane.waiting import eventually

SHIPPED = BASE / "scheduler-config.yaml"
READY_SECONDS = 30.0

_OPEN_PATHS = "/healthz,/readyz,/livez,/metrics"


@dataclass(frozen=True, slots=True)
class Launch:
    """A kube-scheduler that can be started again and again: command line, port and log."""

    argv: tuple[str, ...]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it serves /healthz and /metrics; its certificate is self-signed."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Process:
        return Process(self.argv, self.log)


def render(
    folder: Path,
    kubeconfig: Path,
    *,
    name: str,
    extender_port: int | None,
    elect: bool = True,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write the shipped configuration with other ports; return its path.

    Without an extender's port it has no extender: a stock scheduler for comparison. `changes`
    replaces top-level fields.
    """
    config = yaml.safe_load(SHIPPED.read_text())
    config["clientConnection"]["kubeconfig"] = str(kubeconfig)
    config["leaderElection"]["leaderElect"] = elect
    if extender_port is None:
        del config["extenders"]
    else:
        config["extenders"][0]["urlPrefix"] = f"http://127.0.0.1:{extender_port}"
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**config, **(changes or {})}))
    return path


def launch(
    config: Path, log: Path, *, port: int | None = None, flags: Sequence[str] = ()
) -> Launch:
    """Return how to start a kube-scheduler with that configuration."""
    port = port or free_port()
    argv = (
        binary("kube-scheduler"),
        f"--config={config}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--authentication-skip-lookup=true",
        f"--authorization-always-allow-paths={_OPEN_PATHS}",
        *flags,
    )
    return Launch(argv, port, log)


class Scheduler:
    """A running kube-scheduler."""

    def __init__(self, launched: Launch) -> None:
        self.launch, self.process = launched, launched.start()

    def wait(self) -> None:
        """Wait until it is ready to schedule or, where it elects, to lead."""
        eventually(self._healthy, READY_SECONDS, what=f"it is ready; see {self.launch.log}")

    def metrics(self) -> str:
        """Return its metrics as text."""
        with httpx.Client(verify=False, trust_env=False) as http:
            return http.get(f"{self.launch.url}/metrics").raise_for_status().text

    @property
    def leads(self) -> bool:
        """Whether it holds the Lease."""
        lines = self.metrics().splitlines()
        return any(_is_master(line) for line in lines)

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.process.kill()
        self.process = self.launch.start()
        self.wait()

    def _healthy(self) -> bool:
        if not self.process.running:
            raise RuntimeError(f"kube-scheduler ended:\n{self.process.tail()}")
        try:
            with httpx.Client(verify=False, trust_env=False) as http:
                return http.get(f"{self.launch.url}/readyz").is_success
        except httpx.TransportError:
            return False


def _is_master(line: str) -> bool:
    return line.startswith("leader_election_master_status{") and line.endswith(" 1")
