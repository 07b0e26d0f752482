"""A Deployment in the place of the one that is installed: it can be read, and nothing runs."""

from scheduler.core.model import names
from tests.support.controlplane.api import JSON

PATH = f"/apis/apps/v1/namespaces/{names.NAMESPACE}/deployments"


def deployment(settings: str = "", policy: str = "") -> JSON:
    """`serve`'s as far as commands read it: the ConfigMap of its settings, and a variable."""
    labels = {"app.kubernetes.io/name": "equipoise", "app.kubernetes.io/component": "scheduler"}
    volumes = [{"name": "settings", "configMap": {"name": settings}}] if settings else []
    env = [{"name": "EQUIPOISE_PACKING_POLICY", "value": policy}] if policy else []
    pod = {"containers": [{"name": "serve", "image": "none", "env": env}], "volumes": volumes}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "metadata": {"name": "equipoise-scheduler", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
