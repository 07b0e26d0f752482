"""What a cluster with nodes has beside its API server: configuration and command lines."""

import json
from pathlib import Path

from tests.support.controlplane.layout import binary
from tests.support.controlplane.plane import MASTERS, ControlPlane
from tests.support.node.containerd import SOCKET
from tests.support.node.layout import ADDRESS, NODE, built

DOMAIN = "cluster.local"
_COREFILE = """\
. {{
  bind {address}
  errors
  kubernetes {domain} {{
    kubeconfig {kubeconfig}
  }}
}}
"""


def kubelet(plane: ControlPlane, folder: Path, cgroup: str) -> list[str]:
    """Pods lie below a cgroup of their own; limits of CPU and memory are not enforced."""
    folder.mkdir(exist_ok=True)
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plane.authority.certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "cgroupsPerQOS": False,
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "enforceNodeAllocatable": [],
        # The disk is the machine's: how full that is says nothing about this node.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": False,
        "nodeStatusUpdateFrequency": "5s",
        "podLogsDir": str(folder / "pods"),
        "resolvConf": "",
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
        "syncFrequency": "5s",
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config, indent=1))
    return [
        built("kubelet"),
        f"--config={path}",
        f"--kubeconfig={plane.kubelet_kubeconfig(NODE)}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
        f"--root-dir={folder / 'root'}",
        f"--cert-dir={folder / 'certificates'}",
    ]


def proxy(plane: ControlPlane) -> list[str]:
    return [
        built("kube-proxy"),
        f"--kubeconfig={plane.kubeconfig('system:kube-proxy')}",
        f"--hostname-override={NODE}",
        "--proxy-mode=nftables",
        # Limits of the whole machine, which is not ours to change.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]


def dns(plane: ControlPlane, folder: Path) -> list[str]:
    """Names of Services, for pods; of nothing else, as nothing else can be reached."""
    path = folder / "Corefile"
    kubeconfig = plane.kubeconfig("coredns", MASTERS)
    path.write_text(_COREFILE.format(address=ADDRESS, domain=DOMAIN, kubeconfig=kubeconfig))
    return [built("coredns"), "-conf", str(path)]


def scheduler(plane: ControlPlane) -> list[str]:
    """The cluster's own scheduler, for pods that aren't ours."""
    return [
        binary("kube-scheduler"),
        f"--kubeconfig={plane.kubeconfig('system:kube-scheduler')}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]
