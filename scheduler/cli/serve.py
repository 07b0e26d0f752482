"""`equipoise serve`: all of Equipoise but the agents, in one process beside kube-scheduler."""

import gc
import logging
import os
import sys
from pathlib import Path

import click

from scheduler import http
from scheduler.cli.lifetime import Ending, log_to_stderr
from scheduler.cli.live import live
from scheduler.cli.settingsfile import read_settings
from scheduler.kube.client import Client
from scheduler.settings import Settings
from scheduler.telemetry.metrics import Metrics

COLLECTIONS = (500, 4, 3500)
"""For gc.set_threshold: a look at all objects after 7 million new ones, not after 70,000. With
10,000 pods on their way each takes half a second, in which nobody is answered; and what lives that
long here is freed without it, as it is in no cycle. A look at the young ones takes 3 ms."""

SWITCH_SECONDS = 0.0005
"""For sys.setswitchinterval: so long the event loop waits for a round that a worker works out. It
does so after each read and write, which gives the interpreter away; Python's 5 ms add up."""

log = logging.getLogger(__name__)


@click.command("serve")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings (YAML). Each can be given as EQUIPOISE_GROUP_NAME in the environment too.",
)
@click.option("--kubeconfig", metavar="FILE", help="As kubectl's; in a pod it needs none.")
@click.option("--context", metavar="NAME", help="Of the kubeconfig.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
def serve(
    *, config: Path | None, kubeconfig: str | None, context: str | None, log_level: str
) -> None:
    """Share a cluster's GPUs: extender, webhook, controller, metrics and status page.

    Runs until it is told to end (SIGTERM or Ctrl-C).
    """
    log_to_stderr(log_level)
    settings = read_settings(config, os.environ)
    http.run(_serve(settings, kubeconfig, context))


async def _serve(settings: Settings, kubeconfig: str | None, context: str | None) -> None:
    ending = Ending()
    # What was imported stays: the collector needn't look at it in the middle of a call.
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    sys.setswitchinterval(SWITCH_SECONDS)
    client = await Client.connect(
        kubeconfig=kubeconfig, context=context, timeout_seconds=settings.kube.timeout_seconds
    )
    async with client, live(settings, client, Metrics()) as ours:
        log.info("status page and metrics: %s", ours.page.url)
        log.info("extender: %s", ours.extender.url)
        await ending.told()
