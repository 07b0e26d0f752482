"""What the demo lacks for some panels.

A limit, a budget, an owner of a machine, a card that breaks, a webhook that is gone.
"""

import sys
import time
from contextlib import suppress

from hack.clusterdemo.ground import Ground
from hack.dashboards.check import rules
from hack.dashboards.prometheus import Prometheus
from scheduler.core.model.names import OWNER_LABEL
from scheduler.simulator.demoload import SMALL
from tests.support.controlplane import nodes
from tests.support.controlplane.api import Api, Refused
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.waiting import eventually

TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
LIMITED = SMALL[-1]
LIMITS = {"limit": 3, "budget": {"gpuHours": 1000}}
MISSED = (
    "rate(apiserver_admission_webhook_rejection_count"
    '{name=~".*equipoise.*", error_type!="no_error"}[30s]) > 0'
)
AILING = """\
models:
  T4: {memory: 16Gi}
nodes:
  - name: t4-1
    cpu: 16
    memory: 64Gi
    devices:
      - {model: T4, load: [{at: 0, utilisation: 0.3}]}
      - {model: T4, fault: {at: 30, lost: true}}
"""


def limit_somebody(api: Api) -> None:
    """Give one tenant a limit and a budget that it doesn't reach."""
    api.patch(f"{TENANTS}/{LIMITED}", {"spec": LIMITS})


def let_own(api: Api, node: str) -> None:
    """Say that a machine is that tenant's."""
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {OWNER_LABEL: LIMITED}}})


def add_ailing_machine(place: Ground) -> None:
    """Add a machine one of whose cards is lost after half a minute."""
    file = place.plane.folder / "ailing.yaml"
    file.write_text(AILING, encoding="utf-8")
    nodes.create(place.plane.api, ["t4-1"], nodes.Kind(gpus=0, cpu="16", memory="64Gi"))
    let_own(place.plane.api, "t4-1")
    argv = [sys.executable, "-m", "scheduler", "agent", "--mock", str(file), "--node", "t4-1"]
    argv += ["--kubeconfig", str(place.plane.agent_kubeconfig("t4-1"))]
    argv += ["--host", "127.0.0.1", "--port", str(free_port())]
    settings = {"EQUIPOISE_AGENT_READ_SECONDS": "1", "EQUIPOISE_AGENT_USE_SECONDS": "1"}
    place.start("agent-t4-1", argv, {"PYTHONPATH": str(ROOT), **settings})


def miss_webhook(api: Api, server: Prometheus) -> None:
    """Once serve is gone, have Prometheus and so the alert see that the webhook doesn't answer."""
    (alert,) = [each for each in rules() if each.get("alert") == "EquipoiseWebhookFailing"]
    notes = {"equipoise.dev/gpu-fraction": "0.5"}
    pod = {
        "metadata": {"generateName": "late-", "annotations": notes},
        "spec": {"containers": [{"name": "main", "image": "any"}]},
    }

    def missed() -> bool:
        with suppress(Refused):
            api.post(f"/api/v1/namespaces/{LIMITED}/pods", pod)
        now = time.time()
        return all(server.now(expr, now) for expr in (MISSED, alert["expr"]))

    eventually(missed, 30, every=1.0, what="an alert on a webhook that is gone")
