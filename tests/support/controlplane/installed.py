"""Equipoise as its manifests install it, on a plane: objects applied, replicas started.

Nothing routes to Services here, so the webhook is called by URL, through a door that leads to
whichever replica answers, as a Service would.
"""

import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.controlplane import namespaces
from tests.support.controlplane.accounts import AGENTS
from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.layout import BASE, ROOT
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.processes import Process
from tests.support.controlplane.replicas import Ports, Replica, answers, replica
from tests.support.controlplane.waiting import eventually

NAMESPACE = "equipoise-system"
ACCOUNT = "equipoise-scheduler"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"

FAST: Mapping[str, Any] = {
    "kube": {"stuck_seconds": 5, "status_seconds": 1},
    "extender": {"reservation_seconds": 5},
}
"""Times of minutes as seconds."""


class Door:
    """One port that leads to the first of several that accepts."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # It wakes the thread that waits for callers.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._lead, args=(caller,), daemon=True).start()

    def _lead(self, caller: socket.socket) -> None:
        for port in list(self.ports):
            with suppress(OSError):
                inside = socket.create_connection(("127.0.0.1", port), timeout=1.0)
                with caller, inside:
                    inside.settimeout(None)
                    back = threading.Thread(target=_pour, args=(inside, caller), daemon=True)
                    back.start()
                    _pour(caller, inside)
                    back.join()
                return
        caller.close()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _command(config: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "scheduler", "serve", "--config", str(config))


def _environment(kubeconfig: Path) -> dict[str, str]:
    return {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT)}


def is_asked(api: Api, namespace: str = "default") -> bool:
    """Whether the API server has heard of the webhook there, and trusts and reaches it."""
    body = {
        "metadata": {"name": "probe", "annotations": {"equipoise.dev/gpu-fraction": "1"}},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }
    try:
        made = api.post(f"/api/v1/namespaces/{namespace}/pods", body, {"dryRun": "All"})
    except Refused:
        return False
    return bool(made["spec"].get("schedulingGates"))


@dataclass
class Installation:
    """What is installed. `settings` are groups of serve's settings, as in its file.

    `alone`: the name of the one replica that there will be; it is called without the door, which
    costs more than the call.
    """

    plane: ControlPlane
    settings: Mapping[str, Any] = field(default_factory=lambda: FAST)
    door: Door = field(default_factory=Door)
    alone: str = ""
    replicas: dict[str, Replica] = field(default_factory=dict)
    ports: dict[str, Ports] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.alone:
            self.ports[self.alone] = Ports()

    def apply(self, *, webhook: bool = True) -> None:
        """Apply the manifests."""
        plane = self.plane
        plane.apply(BASE / "namespace.yaml", *sorted((BASE / "crds").glob("*.yaml")))
        plane.apply(BASE / "rbac.yaml", *sorted((BASE / "policies").glob("*.yaml")))
        plane.apply(BASE / "tenants.yaml")
        for name in (NAMESPACE, AGENTS):
            namespaces.furnish(plane.api, name)
        if webhook:
            plane.apply(self._webhook())

    def add(
        self,
        name: str,
        *,
        elect: bool = False,
        server: str | None = None,
        credentials: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        flags: Sequence[str] = (),
    ) -> Replica:
        """Make a replica that isn't started.

        `server` is another way to the API server, `credentials` another kubeconfig; both for
        `serve` alone, and not for its kube-scheduler, whose `flags` are.
        """
        ports = self.ports[name] if name == self.alone else Ports()
        self.ports[name] = ports
        kubeconfig = self.plane.service_account(NAMESPACE, ACCOUNT)
        mine = credentials or kubeconfig
        mine = self._elsewhere(mine, server, name) if server else mine
        config = self._settings(name, ports, elect, settings or {})
        made = replica(
            self.plane,
            name=name,
            serve=_command(config),
            kubeconfig=kubeconfig,
            ports=ports,
            env=_environment(mine),
            elect=elect,
            flags=flags,
        )
        self.door.ports.append(ports.webhook)
        self.replicas[name] = made
        return made

    def start(self, name: str, **how: Any) -> Replica:
        """Make a replica and start it; wait until the API server asks it about new pods."""
        made = self.add(name, **how)
        made.start()
        eventually(lambda: is_asked(self.plane.api), 30, what="the webhook is asked")
        return made

    def admit_only(self, name: str) -> Process:
        """Start a `serve` that serves the webhook and never acts: nobody beside it leads."""
        ports = self.ports[name] = Ports()
        nobody = {"leadership": {"url": ports.scheduler_url}}
        config = self._settings(name, ports, False, nobody)
        env = _environment(self.plane.service_account(NAMESPACE, ACCOUNT))
        started = Process(_command(config), self.plane.layout.log(f"{name}-serve"), env=env)
        ready = f"http://127.0.0.1:{ports.web}/readyz"
        eventually(lambda: answers(ready), 60, what=f"{name} is ready; see {started.log}")
        self.door.ports.append(ports.webhook)
        return started

    def close(self) -> None:
        """End all replicas."""
        for each in self.replicas.values():
            each.close()
        self.door.close()

    def _settings(self, name: str, ports: Ports, elect: bool, changes: Mapping[str, Any]) -> Path:
        groups: dict[str, dict[str, Any]] = {
            "extender": {"port": ports.extender},
            "web": {"port": ports.web},
            "webhook": {"host": "127.0.0.1", "port": ports.webhook, "names": ["127.0.0.1"]},
            "leadership": {"url": ports.scheduler_url if elect else ""},
        }
        for more in (self.settings, changes):
            for group, values in more.items():
                groups.setdefault(group, {}).update(values)
        path = self.plane.folder / f"{name}-settings.yaml"
        path.write_text(yaml.safe_dump(groups))
        return path

    def _webhook(self) -> Path:
        port = self.ports[self.alone].webhook if self.alone else self.door.port
        documents: list[JSON] = list(yaml.safe_load_all((BASE / "webhook.yaml").read_text()))
        for document in documents:
            for webhook in (document or {}).get("webhooks", ()):
                client = webhook["clientConfig"]
                path = client.pop("service")["path"]
                client["url"] = f"https://127.0.0.1:{port}{path}"
        written = self.plane.folder / "webhook.yaml"
        written.write_text(yaml.safe_dump_all(documents))
        return written

    def _elsewhere(self, kubeconfig: Path, server: str, name: str) -> Path:
        """The same account at another address."""
        content = yaml.safe_load(kubeconfig.read_text())
        for cluster in content["clusters"]:
            cluster["cluster"]["server"] = server
        path = self.plane.folder / f"{name}-elsewhere.yaml"
        path.write_text(yaml.safe_dump(content))
        return path
