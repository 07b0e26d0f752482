"""What owns pods, so that something would make them again: then they may be pinned to nodes."""

from tests.support.controlplane.api import JSON, Api


def create(api: Api, namespace: str) -> JSON:
    """Make something that stands for a Job, and return the reference to it that its pods carry.

    It is there, so nothing collects its pods; and it never makes one by itself.
    """
    made = api.post(
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"metadata": {"generateName": "owner-"}},
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": made["metadata"]["name"],
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
