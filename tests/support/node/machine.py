"""A control plane and one real node beside it, inside an enclosure: pods run as containers."""

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.controlplane import nodes
from tests.support.controlplane.api import Api
from tests.support.controlplane.plane import MASTERS, ControlPlane
from tests.support.controlplane.processes import Process
from tests.support.controlplane.waiting import eventually
from tests.support.node import kubelets
from tests.support.node.containerd import Containerd
from tests.support.node.enclosure import enclosed
from tests.support.node.layout import ADDRESS, IMAGES, NODE

_ASKS_KUBELETS = "kube-apiserver-kubelet-client"


class Machine:
    """Starts on `with`; what is left of it goes with the enclosure.

    kwok plays kubelets for further nodes, if wanted: `plane.nodes(2)`.
    """

    def __init__(self) -> None:
        self.folder: Path = enclosed()
        self.plane = ControlPlane()
        self._open_to_pods()
        self._started: dict[str, Process] = {}

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

    @property
    def api(self) -> Api:
        """The API server, as an admin."""
        return self.plane.api

    def start(self) -> None:
        """Start everything; return when the node is Ready and its images are there."""
        try:
            self.containerd = Containerd(self.folder / "containerd")
            self.plane.start()
            self._run("kube-scheduler", kubelets.scheduler(self.plane))
            self._run("kube-proxy", kubelets.proxy(self.plane))
            self._run("coredns", kubelets.dns(self.plane, self.folder))
            self.start_kubelet()
            self.containerd.load(*IMAGES)
            (self.folder / "kubeconfig").symlink_to(self.plane.kubeconfig())
            eventually(self.ready, 60, what=f"the node is Ready; see {self._log('kubelet')}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop what was started, the kubelet first, so that nothing is started any more."""
        for name in ("kubelet", "kube-proxy", "coredns", "kube-scheduler"):
            if (process := self._started.pop(name, None)) is not None:
                process.stop()
        if hasattr(self, "containerd"):
            self.containerd.process.stop()
        if "kube-apiserver" in self.plane.processes:
            self.plane.stop_apiserver(kill=True)  # it would wait for the pods that watch
        self.plane.stop()

    def start_kubelet(self) -> None:
        argv = kubelets.kubelet(self.plane, self.folder / "kubelet", self.folder.name)
        self._run("kubelet", argv)

    def stop_kubelet(self) -> None:
        """Stop it; containers run on."""
        self._started.pop("kubelet").stop()

    def ready(self) -> bool:
        node = self.api.find(f"/api/v1/nodes/{NODE}")
        return node is not None and nodes.ready(node)

    def _run(self, name: str, argv: list[str]) -> None:
        self._started[name] = Process(argv, self._log(name))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _open_to_pods(self) -> None:
        """Have pods reach the API server, and the API server reach the kubelet."""
        pair = self.plane.authority.client(_ASKS_KUBELETS, MASTERS)
        flags = (
            "--bind-address=0.0.0.0",
            f"--advertise-address={ADDRESS}",
            "--endpoint-reconciler-type=lease",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={pair.certificate}",
            f"--kubelet-client-key={pair.key}",
        )
        options = self.plane.options
        self.plane.options = replace(options, apiserver=(*options.apiserver, *flags))
