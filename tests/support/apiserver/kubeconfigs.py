"""Kubeconfig files of one cluster and one user, with any fields."""

import json
from pathlib import Path
from typing import Any

JSON = dict[str, Any]


def write(path: Path, *, cluster: JSON, user: JSON, **context: str) -> Path:
    """Write one and return its path; keywords go into its context, such as `namespace`."""
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "users": [{"name": "somebody", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "fake", "user": "somebody", **context}}],
        "current-context": "it",
    }
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def by_token(path: Path, url: str, token: str) -> Path:
    """Write one whose token lies within it."""
    return write(path, cluster={"server": url}, user={"token": token})
