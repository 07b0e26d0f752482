"""The story from its beginning to its end: the ground, who acts on it, and who counts."""

import gc
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from hack.clusterdemo import furniture
from hack.clusterdemo.acting import act
from hack.clusterdemo.ground import Ground, ground
from scheduler import http
from scheduler.cli.demoplay import Options, with_limit
from scheduler.cli.demoscreen import Screen
from scheduler.cli.lifetime import log_to
from scheduler.device.mock import DEMO, load_nodes
from scheduler.kube.client import JSON
from scheduler.simulator.demoreport import Audit, Report
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import ACCOUNT, NAMESPACE
from tests.support.controlplane.schedulers import Scheduler

LEEWAY_SECONDS = 120.0
"""What a busy machine may take longer than the story itself."""


def tell_story(options: Options, screen: Screen) -> Report:
    """Play it on a control plane of its own, and return the report."""
    if options.port is not None:
        # To be told now is better than when all is set up.
        http.listen(options.host, options.port).close()
    screen.note("starting a control plane: etcd, kube-apiserver, kube-controller-manager, kwok")
    with ground() as place:
        log_to(logging.FileHandler(place.plane.layout.log("serve"), encoding="utf-8"))
        screen.note("installing Equipoise: its manifests, 7 tenants, 5 nodes with their agents")
        furniture.install(place)
        owners = furniture.found_tenants(place.plane.api)
        furniture.set_up_machines(place, load_nodes(DEMO))
        report = _audited(options, screen, place, owners)
        place.clean = report.sound
    return report


def _audited(options: Options, screen: Screen, place: Ground, owners: Mapping[str, JSON]) -> Report:
    plane, account = place.plane, place.plane.service_account(NAMESPACE, ACCOUNT)
    scheduler = plane.scheduler(extender_port=place.ports.extender, kubeconfig=account)
    # What was imported stays: the collector needn't look at it in the middle of a call.
    gc.freeze()
    with closing(Auditor(plane.kubeconfig())) as auditor:
        auditor.start()
        work = act(options, screen, place, account=account, owners=owners)
        report = http.run(with_limit(work, options.seconds + LEEWAY_SECONDS))
        failures = _failures(scheduler)
        scheduler.process.stop()
        place.freeze()
        auditor.caught_up()
        audit = Audit(auditor.placed, auditor.oversold_gpus, tuple(auditor.problems()))
    return replace(report, errors=report.errors + failures).audited(audit)


def _failures(scheduler: Scheduler) -> int:
    """How often kube-scheduler could not say whether a pod fits, or could not bind it."""
    for family in text_string_to_metric_families(scheduler.metrics()):
        if family.name == "scheduler_schedule_attempts":
            of = (each.value for each in family.samples if each.labels["result"] == "error")
            return int(sum(of))
    return 0
