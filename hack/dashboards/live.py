"""Plays the demo on a real control plane under a Prometheus, then checks and draws dashboards.

    python -m hack.dashboards.live [--seconds 90] [--pictures]

Takes what `make cluster-demo` takes, and Debian's package prometheus.
"""

import gc
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml

from hack.clusterdemo import furniture
from hack.clusterdemo.acting import act
from hack.clusterdemo.ground import Ground, ground
from hack.dashboards import check, pictures, staging
from hack.dashboards.prometheus import Prometheus
from hack.dashboards.witness import Witness
from scheduler import http
from scheduler.cli.demoplay import Options, with_limit
from scheduler.cli.demoscreen import Screen
from scheduler.cli.lifetime import log_to
from scheduler.device.mock import DEMO, load_nodes
from scheduler.kube.client import JSON
from tests.support.controlplane.installed import ACCOUNT, NAMESPACE
from tests.support.controlplane.plane import MASTERS
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.waiting import eventually

LEEWAY_SECONDS = 120.0
SCRAPE_SECONDS = 1
SETTLE_SECONDS = 3.0
"""Before the end of the story, so that every answer is of a time at which all was there."""


def configuration(place: Ground, serve: int) -> dict[str, Any]:
    """Return Prometheus' configuration: serve, its agents, the API server."""
    pair = place.plane.authority.client("prometheus", MASTERS)
    tls = {
        "ca_file": str(place.plane.authority.certificate),
        "cert_file": str(pair.certificate),
        "key_file": str(pair.key),
    }
    agents = [_port_of(each.argv) for each in place.started if "agent" in each.argv]
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "5s"},
        "rule_files": [str(check.RULES)],
        "scrape_configs": [
            {"job_name": "equipoise", **_targets(serve)},
            {"job_name": "equipoise-agent", "honor_labels": True, **_targets(*agents)},
            {
                "job_name": "kubernetes-apiserver",
                "scheme": "https",
                "scrape_interval": "10s",
                "tls_config": tls,
                **_targets(place.plane.layout.apiserver),
            },
        ],
    }


def set_up(place: Ground) -> Mapping[str, JSON]:
    """Install Equipoise, its tenants and machines; return what owns each tenant's pods."""
    log_to(logging.FileHandler(place.plane.layout.log("serve"), encoding="utf-8"))
    furniture.install(place)
    owners = furniture.found_tenants(place.plane.api)
    staging.limit_somebody(place.plane.api)
    furniture.set_up_machines(place, load_nodes(DEMO))
    staging.add_ailing_machine(place)
    return owners


@contextmanager
def watched(place: Ground, serve: int) -> Iterator[Prometheus]:
    """Run a Prometheus on it while the block lasts."""
    folder, port = place.plane.folder, free_port()
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(configuration(place, serve)), encoding="utf-8")
    argv = [_program(), f"--config.file={file}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    place.start("prometheus", [*argv, f"--web.listen-address=127.0.0.1:{port}"], {})
    server = Prometheus(f"http://127.0.0.1:{port}")
    eventually(server.ready, 60, what="Prometheus is ready")
    yield server
    server.close()


def play(options: Options, screen: Screen, place: Ground, owners: Mapping[str, JSON]) -> None:
    """Have the story told by a stock kube-scheduler and Equipoise."""
    account = place.plane.service_account(NAMESPACE, ACCOUNT)
    scheduler = place.plane.scheduler(extender_port=place.ports.extender, kubeconfig=account)
    gc.freeze()
    work = act(options, screen, place, account=account, owners=owners)
    http.run(with_limit(work, options.seconds + LEEWAY_SECONDS))
    scheduler.process.stop()


def _program() -> str:
    found = shutil.which("prometheus")
    if found is None:
        raise click.ClickException("Prometheus is missing; install Debian's package prometheus")
    return found


def _port_of(argv: tuple[str, ...]) -> int:
    return int(argv[argv.index("--port") + 1])


def _targets(*ports: int) -> dict[str, Any]:
    return {"static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}


@click.command()
@click.option("--seconds", type=click.FloatRange(30), default=90.0, show_default=True)
@click.option("--pictures", "folder", type=click.Path(path_type=Path), help="Draw them there.")
def main(seconds: float, folder: Path | None) -> None:
    """Play the demo under a Prometheus; check every query, and draw the main figures."""
    options = Options(seconds, 1, "127.0.0.1", free_port())
    with Witness(seconds) as screen, ground() as place:
        owners = set_up(place)
        with watched(place, options.port or 0) as server:
            began = time.time()
            play(options, screen, place, owners)
            at = began + seconds - SETTLE_SECONDS
            during = check.window((seconds - SETTLE_SECONDS) / 60, at)
            findings = [*check.of_panels(server, during), *check.of_rules(server, during)]
            if folder is not None:
                pictures.draw_all(server, during, folder)
            staging.miss_webhook(place.plane.api, server)
            agreement = screen.agreement(server, during)
        click.echo(str(agreement))
        place.clean = check.report(findings, strict=False) and agreement.good
    if not place.clean:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
