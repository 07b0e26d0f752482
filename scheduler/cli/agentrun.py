"""What `equipoise agent` is made of while it runs: driver, watch, agent and listener."""

import logging
import random
from collections.abc import Callable
from pathlib import Path

from scheduler import http
from scheduler.agent.app import create_app
from scheduler.agent.processes import booted_at
from scheduler.agent.reading import Look, Patience, Reader, Reading
from scheduler.agent.service import Agent
from scheduler.cli.lifetime import Ending, log_to_stderr
from scheduler.cli.running import running
from scheduler.clock import SystemClock
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.limitnotes import CDI, DRIVER_LIMITS, MPS
from scheduler.device.driver import Driver
from scheduler.kube.client import Client
from scheduler.kube.reflector import Reflector
from scheduler.kube.resources import PODS
from scheduler.settings import Settings

SERVES = (MPS, DRIVER_LIMITS, CDI)
"""What a node may serve; the schema of a GPUNode has the same list."""

log = logging.getLogger(__name__)


def publish(
    opening: Callable[[], Driver], node: NodeName, *, kubeconfig: str | None, settings: Settings
) -> None:
    """Run the agent until SIGTERM or SIGINT; raise InvalidInput if it can't begin."""
    _check(settings)
    log_to_stderr()
    http.run(_publish(opening, node, kubeconfig=kubeconfig, settings=settings))


def _check(settings: Settings) -> None:
    for word in settings.agent.serves:
        if word not in SERVES:
            raise InvalidInput(f'agent.serves knows no "{word}"; write {" or ".join(SERVES)}')
    if settings.agent.read_seconds < 1:
        raise InvalidInput("agent.read_seconds must be at least 1: each reading costs the driver")


async def _publish(
    opening: Callable[[], Driver], node: NodeName, *, kubeconfig: str | None, settings: Settings
) -> None:
    ending = Ending()
    client = await Client.connect(
        kubeconfig=kubeconfig, timeout_seconds=settings.kube.timeout_seconds
    )
    agent = _agent(opening, node, client=client, settings=settings)
    params = {"fieldSelector": f"spec.nodeName={node}"}
    pods = Reflector(client, PODS, agent.guests, params=params, page=settings.kube.page)
    app = create_app(exposition=agent.exposition, silence=agent.silence)
    async with client, http.serving(app, settings.agent.host, settings.agent.port) as address:
        log.info("node %s of %s; metrics: %s/metrics", node, client.server, address.url)
        async with running(pods.run(), *agent.work()):
            await ending.told()


def _agent(
    opening: Callable[[], Driver], node: NodeName, *, client: Client, settings: Settings
) -> Agent:
    proc = Path(settings.agent.proc)
    return Agent(
        client,
        node,
        look=_look(opening, proc=proc, seconds=settings.agent.answer_seconds),
        booted_at=booted_at(proc),
        settings=settings.agent,
        clock=SystemClock(),
        rng=random.Random(),
    )


def _look(opening: Callable[[], Driver], *, proc: Path, seconds: float) -> Look:
    reader, patience = Reader(opening, proc=proc, clock=SystemClock()), Patience(seconds)

    async def look() -> Reading:
        return await patience.run(reader.read)

    return look
