"""Kubeconfig files: one cluster, one user."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.controlplane.certificates import Pair


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the API server is, and whose signature its certificate carries."""

    url: str
    authority: Path


def by_certificate(path: Path, cluster: Cluster, pair: Pair) -> Path:
    """Write a kubeconfig whose user has a client certificate; return its path."""
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    return _write(path, cluster, user)


def by_token(path: Path, cluster: Cluster, token: str, *, namespace: str = "default") -> Path:
    """Write a kubeconfig whose user has a token; the token lies in a file beside it."""
    file = path.with_suffix(".token")
    file.write_text(token)
    return _write(path, cluster, {"tokenFile": str(file)}, namespace=namespace)


def _write(
    path: Path, cluster: Cluster, user: Mapping[str, str], *, namespace: str = "default"
) -> Path:
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {
                    "server": cluster.url,
                    "certificate-authority": str(cluster.authority),
                },
            }
        ],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [
            {
                "name": "test",
                "context": {"cluster": "test", "user": "test", "namespace": namespace},
            }
        ],
        "current-context": "test",
    }
    path.write_text(json.dumps(body, indent=1))
    return path
