"""A real Kubernetes control plane for tests: own folder, own ports, own certificates.

    with ControlPlane() as plane:
        plane.nodes(3)
        plane.apply(BASE / "rbac.yaml")

etcd, kube-apiserver, kube-controller-manager and kwok; schedulers are started on top of it.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.controlplane import accounts, components, definitions, nodes, schedulers
from tests.support.controlplane.api import Api, Refused
from tests.support.controlplane.audit import Audit
from tests.support.controlplane.certificates import Authority, Pair, new_key, write_key
from tests.support.controlplane.kubeconfigs import Cluster, by_certificate, by_token
from tests.support.controlplane.layout import Layout, Options, binary
from tests.support.controlplane.processes import Process
from tests.support.controlplane.schedulers import Scheduler
from tests.support.controlplane.waiting import eventually

ADMIN = "admin"
MASTERS = ("system:masters",)
START_SECONDS = 60.0
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
"""kube-controller-manager makes it as soon as it works."""

FOLLOWERS = ("kube-controller-manager", "kwok")
"""They go by what they watch of kube-apiserver."""


class ControlPlane:
    """Starts on `start()` or `with`, stops on `stop()`; its folder is kept if a test failed.

    `api` speaks as an admin. `processes` are by name: etcd, kube-apiserver, …
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.folder = Path(tempfile.mkdtemp(prefix="equipoise-plane-"))
        self.layout = Layout(self.folder)
        self.processes: dict[str, Process] = {}
        self._schedulers: list[Scheduler] = []
        self._deaf = False
        self.authority = Authority(self.layout.pki)
        write_key(self.layout.pki / "accounts.key", new_key())
        self.cluster = Cluster(self.layout.url, self.authority.certificate)
        self._serving = self._server_certificate()
        self.audit = Audit(self.layout.audit_log)
        self.api = Api(self.kubeconfig())

    def _server_certificate(self) -> Pair:
        hosts = ("127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1")
        return self.authority.server("apiserver", hosts)

    # --------------------------------------------------------------------- start and stop

    def start(self) -> None:
        """Start everything and wait until it is ready; what was started is stopped on an error."""
        try:
            self._run("etcd", components.etcd(self.layout))
            self.start_apiserver()
            self._start_followers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in an order in which each ends by itself. Logs stay, the data goes."""
        for each in self._schedulers:
            each.process.stop()
        for name in ("kwok", "kube-controller-manager", "kube-apiserver", "etcd"):
            if (process := self.processes.pop(name, None)) is not None:
                process.stop(grace=10.0)
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        self.api.close()

    def remove(self) -> None:
        """Remove the folder with data and logs."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None:
            self.remove()
        else:
            print(f"logs of the control plane are kept in {self.folder}")

    def start_apiserver(self) -> None:
        """Start kube-apiserver on the port that it always had, and wait until it is ready."""
        argv = components.apiserver(self.layout, self.options, self._serving)
        self._run("kube-apiserver", argv)
        self._until("kube-apiserver", lambda: self._answers("/readyz"))

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Stop kube-apiserver by SIGTERM or, as a crash would, by SIGKILL."""
        process = self.processes.pop("kube-apiserver")
        if kill:
            process.kill()
        else:
            process.stop(grace=2.0)  # it would wait a minute for those that watch

    def restart_apiserver(self, *, kill: bool = False) -> None:
        self.stop_apiserver(kill=kill)
        self.start_apiserver()
        self._deaf = True

    def heal(self) -> None:
        """Start kube-controller-manager and kwok anew if one died, or kube-apiserver was restarted.

        client-go watches again after 0.8 s, then after twice as long each time, up to a minute by
        chance, and forgets that only after two minutes without a failure. So after a few restarts
        in a row new namespaces waited 93 s for their account.
        """
        followers = [each for name, each in self.processes.items() if name in FOLLOWERS]
        if not self._deaf and all(each.running for each in followers):
            return
        for each in followers:
            each.kill()
        if self.api.find(ACCOUNT):
            self.api.delete(ACCOUNT)
        self._start_followers()
        self._deaf = False

    def compact(self) -> None:
        """Have etcd forget the past: pages of older lists are gone then (410)."""
        etcd = f"http://127.0.0.1:{self.layout.etcd}/v3/kv"
        with httpx.Client(trust_env=False) as http:
            found = http.post(f"{etcd}/range", json={"key": "AA=="}).raise_for_status().json()
            body = {"revision": found["header"]["revision"], "physical": True}
            http.post(f"{etcd}/compaction", json=body).raise_for_status()

    def _start_followers(self) -> None:
        kubeconfig = self.kubeconfig("system:kube-controller-manager")
        argv = components.controller_manager(self.layout, self.options, kubeconfig)
        self._run("kube-controller-manager", argv)
        if self.options.kwok:
            kubeconfig = self.kubeconfig("kwok", MASTERS)
            self._run("kwok", components.kwok(self.layout, self.options, kubeconfig))
        self._until("kube-controller-manager", lambda: self.api.find(ACCOUNT))

    def _run(self, name: str, argv: list[str]) -> None:
        self.processes[name] = Process(argv, self.layout.log(name))

    def _answers(self, path: str) -> bool:
        try:
            return self.api.text(path) == "ok"
        except (httpx.TransportError, Refused):
            return False

    def _until(self, name: str, look: Callable[[], Any]) -> None:
        process = self.processes[name]

        def ready_or_gone() -> Any:
            return look() or not process.running

        eventually(ready_or_gone, START_SECONDS, what=f"{name} is ready; see {process.log}")
        if not process.running:
            raise RuntimeError(f"{name} ended with {process.exit_status}:\n{process.tail()}")

    # ------------------------------------------------------------------------------ users

    def kubeconfig(self, user: str = ADMIN, groups: tuple[str, ...] = ()) -> Path:
        """Return a kubeconfig for a user with a client certificate; "admin" may do everything."""
        groups = MASTERS if user == ADMIN else groups
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        if not path.exists():
            by_certificate(path, self.cluster, self.authority.client(user, groups))
        return path

    def kubelet_kubeconfig(self, node: str) -> Path:
        return self.kubeconfig(f"system:node:{node}", ("system:nodes",))

    def service_account(self, namespace: str, name: str, *, copy: str = "") -> Path:
        """Return a kubeconfig with a token of a ServiceAccount, which is made if missing."""
        made = accounts.token(self.api, namespace, name)
        path = self.folder / f"{namespace}.{name}{copy}.kubeconfig"
        return by_token(path, self.cluster, made, namespace=namespace)

    def agent_kubeconfig(self, node: str, *, account: str = "equipoise-agent") -> Path:
        """Return a kubeconfig whose token is bound to an agent's pod on that node."""
        pod = accounts.agent_pod(self.api, node, account=account)
        made = accounts.token(self.api, accounts.AGENTS, account, holder=pod)
        path = self.folder / f"{account}-{node}.kubeconfig"
        return by_token(path, self.cluster, made, namespace=accounts.AGENTS)

    # ------------------------------------------------------------------------- schedulers

    def scheduler(
        self,
        *,
        name: str = "kube-scheduler",
        extender_port: int | None = None,
        kubeconfig: Path | None = None,
        elect: bool = False,
        changes: Mapping[str, Any] | None = None,
    ) -> Scheduler:
        """Start a kube-scheduler with the shipped configuration; it ends with the plane.

        Without an extender's port it has no extender; without a kubeconfig it is Kubernetes' own.
        """
        user = kubeconfig or self.kubeconfig("system:kube-scheduler")
        config = schedulers.render(
            self.folder, user, name=name, extender_port=extender_port, elect=elect, changes=changes
        )
        started = Scheduler(schedulers.launch(config, self.layout.log(name)))
        self._schedulers.append(started)
        started.wait()
        return started

    # ---------------------------------------------------------------------------- objects

    def nodes(self, count: int, *, prefix: str = "node-", **kind: Any) -> list[str]:
        """Create so many nodes (see nodes.Kind); return their names once they are ready."""
        names = [f"{prefix}{number}" for number in range(count)]
        wanted = nodes.Kind(**kind)
        nodes.create(self.api, names, wanted)
        if wanted.kwok:
            eventually(lambda: self._ready(set(names)), 30, what=f"{names} are ready")
        return names

    def _ready(self, names: set[str]) -> bool:
        listed = self.api.items("/api/v1/nodes")
        ready = {node["metadata"]["name"] for node in listed if nodes.ready(node)}
        return names <= ready

    def kubectl(self, *argv: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl, as the admin unless told otherwise; RuntimeError with its complaint."""
        config = kubeconfig or self.kubeconfig()
        done = subprocess.run(
            [binary("kubectl"), f"--kubeconfig={config}", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(argv)}: {done.stderr or done.stdout}")
        return done.stdout

    def apply(self, *paths: Path) -> None:
        """Apply files or folders; a folder with a kustomization.yaml through kustomize.

        Objects of a CRD that comes in the same call are tried again until it is served.
        """
        for path in paths:
            eventually(partial(self._applied, path), 30, every=0.3)

    def _applied(self, path: Path) -> bool:
        kustomized = path.is_dir() and (path / "kustomization.yaml").exists()
        flag = "-k" if kustomized else "-f"
        try:
            self.kubectl("apply", "--server-side", "--force-conflicts", flag, str(path))
        except RuntimeError as error:
            if "no matches for kind" not in str(error):
                raise
            return False
        return definitions.all_served(self.api)
