"""Command lines of the processes of a control plane, on loopback."""

import json
from pathlib import Path

from tests.support.controlplane.certificates import Pair
from tests.support.controlplane.layout import Layout, Options, binary

NODE_LEASE_SECONDS = 40


def etcd(layout: Layout) -> list[str]:
    """Without fsync: nothing in here is to survive the machine."""
    client, peer = (f"http://127.0.0.1:{port}" for port in (layout.etcd, layout.etcd_peer))
    return [
        binary("etcd"),
        f"--data-dir={layout.folder / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def apiserver(layout: Layout, options: Options, serving: Pair) -> list[str]:
    """RBAC and the node authorizer on, admission plugins as they are by default."""
    pki = layout.pki
    return [
        binary("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{layout.etcd}",
        f"--secure-port={layout.apiserver}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # the others refuse a loopback address
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--cert-dir={pki}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'accounts.key'}",
        f"--service-account-signing-key-file={pki / 'accounts.key'}",
        "--authorization-mode=Node,RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        *(_audit(layout) if options.audit else ()),
        *options.apiserver,
    ]


def controller_manager(layout: Layout, options: Options, kubeconfig: Path) -> list[str]:
    pki = layout.pki
    lifecycle = () if options.node_lifecycle else ("--controllers=*,-node-lifecycle-controller",)
    return [
        binary("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--secure-port={layout.controller_manager}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={layout.folder / 'controller-manager'}",
        f"--service-account-private-key-file={pki / 'accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--kube-api-qps=300",  # at 20 a second its start alone takes five seconds
        "--kube-api-burst=300",
        *lifecycle,
        *options.controller_manager,
    ]


def kwok(layout: Layout, options: Options, kubeconfig: Path) -> list[str]:
    """Without node lifecycle nobody looks at leases, so none are kept."""
    lease = NODE_LEASE_SECONDS if options.node_lifecycle else 0
    return [
        binary("kwok"),
        f"--kubeconfig={kubeconfig}",
        *(f"--config={stage}" for stage in options.stages),
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--node-lease-duration-seconds={lease}",
        f"--server-address=127.0.0.1:{layout.kwok}",
    ]


def _audit(layout: Layout) -> tuple[str, ...]:
    policy = layout.folder / "audit-policy.json"
    policy.write_text(
        json.dumps(
            {
                "apiVersion": "audit.k8s.io/v1",
                "kind": "Policy",
                "omitStages": ["RequestReceived"],
                "rules": [
                    {
                        "level": "Request",
                        "resources": [{"group": "", "resources": ["pods/eviction"]}],
                    },
                    {"level": "Metadata"},
                ],
            }
        )
    )
    return (f"--audit-policy-file={policy}", f"--audit-log-path={layout.audit_log}")
