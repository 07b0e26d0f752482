"""Equipoise on a real node as a user gets it: `helm install` of the chart, with our image."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.support.controlplane.api import JSON
from tests.support.controlplane.layout import ROOT
from tests.support.controlplane.waiting import eventually
from tests.support.node.layout import NODE, OURS, built
from tests.support.node.machine import Machine

CHART = ROOT / "charts" / "equipoise"
NAMESPACE, AGENTS = "equipoise-system", "equipoise-agents"
ACCOUNTS = (
    f"system:serviceaccount:{NAMESPACE}:equipoise-scheduler",
    f"system:serviceaccount:{AGENTS}:equipoise-agent",
)
MANAGED = {"metadata": {"labels": {"equipoise.dev/managed": "true"}}}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SECONDS = 180

_REPOSITORY, _, TAG = OURS.rpartition(":")
MOCK = (
    f"image.repository={_REPOSITORY}",
    f"image.tag={TAG}",
    "agent.mock.enabled=true",
)
"""Our image, and scripted cards: four of 80 GiB."""

FAST = (*MOCK, "settings.kube.rollout_seconds=5")
"""A time of half a minute as seconds."""

FORMER = (f"image.repository={_REPOSITORY}", "image.tag=former", "agent.mock.enabled=true")
"""The image of the release before, for its own chart."""

DRIVERLESS = (*MOCK, "agent.mock.enabled=false", "runtimeClassName=")
"""Agents that ask a driver, where there is none."""


class Release:
    """The release "equipoise" on a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._is: tuple[object, ...] | None = None

    def ensure(self, values: Sequence[str] = MOCK) -> None:
        """Have it be what `install(values)` makes it, unless it is."""
        if self._is != (tuple(values), CHART, None):
            self.install(values)

    def install(
        self, values: Sequence[str] = MOCK, *, chart: Path = CHART, more: JSON | None = None
    ) -> None:
        """Install the chart, or upgrade to it, with single values and a tree of `more`.

        Returns when all of it is ready.
        """
        self.machine.api.patch(f"/api/v1/nodes/{NODE}", MANAGED)
        body: JSON = {"metadata": {"name": NAMESPACE, "labels": RESTRICTED}}
        self.machine.api.ensure("/api/v1/namespaces", body)
        self._is = None
        tree = self.machine.folder / "values.json"
        tree.write_text(json.dumps(more or {}), encoding="utf-8")
        settings = [argument for value in values for argument in ("--set", value)]
        patience = ("--wait", f"--timeout={SECONDS}s")
        self.helm(
            "upgrade",
            "--install",
            "equipoise",
            str(chart),
            *patience,
            "--values",
            str(tree),
            *settings,
        )
        # What an earlier agent told of cards that broke is over then, too.
        well = "agent.mock.enabled=true" in values and more is None
        eventually(lambda: self._told(well=well), 30, what="the agent has told of the cards")
        eventually(self._admits, 60, what="the webhook answers behind its Service")
        self._is = (tuple(values), chart, more)

    def uninstall(self) -> None:
        self._is = None
        self.helm("uninstall", "equipoise", "--wait", "--ignore-not-found")

    def helm(self, *argv: str) -> str:
        """Run helm in the release's namespace; RuntimeError with its complaint."""
        home = self.machine.folder / "helm"
        env = {
            **os.environ,
            "KUBECONFIG": str(self.machine.plane.kubeconfig()),
            **{
                f"HELM_{kind}_HOME": str(home / kind.lower())
                for kind in ("CACHE", "CONFIG", "DATA")
            },
        }
        command = [built("helm"), "--namespace", NAMESPACE, *argv]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"helm {' '.join(argv)}: {done.stderr or done.stdout}")
        return done.stdout

    def refusals(self) -> list[str]:
        """Return what the API server has refused to its accounts so far."""
        return [
            f"{each.user} {each.verb} {each.path}"
            for each in self.machine.plane.audit.entries(status=403)
            # It says 403 too when an Event comes as its namespace goes.
            if each.user in ACCOUNTS and "is being terminated" not in each.message
        ]

    def state(self) -> JSON:
        """Return what the status page is drawn from."""
        service = self.machine.api.get(f"/api/v1/namespaces/{NAMESPACE}/services/equipoise")
        address = service["spec"]["clusterIP"]
        page = f"http://{address}:8800/api/v1/state"

        def answer() -> JSON | None:
            try:
                found: JSON = httpx.get(page, trust_env=False).raise_for_status().json()
            except httpx.HTTPError:
                # kube-proxy hears of a new pod behind the Service a moment after everybody else.
                return None
            return found

        return eventually(answer, 20, what="the status page answers")

    def ledger(self) -> dict[str, dict[str, int]]:
        """Return who holds what: namespace/name → UUID → milli-GPU."""
        found: dict[str, dict[str, int]] = {}
        for node in self.state()["nodes"]:
            for gpu in node["gpus"]:
                for piece in gpu["slices"]:
                    held = found.setdefault(piece["pod"], {})
                    held[gpu["uuid"]] = round(piece["gpus"] * 1000)
        return found

    def pods(self, component: str, namespace: str = NAMESPACE) -> list[JSON]:
        """Return its pods of one component: scheduler, or agent in AGENTS."""
        chosen = {"labelSelector": f"app.kubernetes.io/component={component}"}
        return self.machine.api.items(f"/api/v1/namespaces/{namespace}/pods", chosen)

    def _admits(self) -> bool:
        """Whether who asks the webhook's Service is answered, as the API server will ask it.

        Its pods are ready before that: the EndpointSlice is written and kube-proxy hears of it
        some seconds later, for each Service by itself; until then callers are refused.
        """
        path = f"/api/v1/namespaces/{NAMESPACE}/services/equipoise-webhook"
        address = self.machine.api.get(path)["spec"]["clusterIP"]
        try:
            # Who it is doesn't matter here: the API server will know it by its own authority.
            answer = httpx.get(f"https://{address}/healthz", verify=False, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.is_success

    def _told(self, *, well: bool) -> bool:
        found = self.machine.api.find(f"/apis/equipoise.dev/v1alpha1/gpunodes/{NODE}") or {}
        devices = found.get("status", {}).get("devices")
        return bool(devices) and (not well or all(each["healthy"] for each in devices))
