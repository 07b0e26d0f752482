"""Who acts: the one replica that there is, or the one whose kube-scheduler leads."""

import contextlib
from collections.abc import AsyncIterator

from scheduler.cli.running import Work
from scheduler.clock import BootClock
from scheduler.kube.client import Client
from scheduler.kube.leadership import Alone, Elections, Leadership, asking, reading
from scheduler.kube.reflector import Reflector
from scheduler.kube.resources import LEASES
from scheduler.settings import Settings


@contextlib.asynccontextmanager
async def elected(
    settings: Settings, client: Client
) -> AsyncIterator[tuple[Elections, *tuple[Work, ...]]]:
    """Yield the elections, and the work that has to run beside them."""
    chosen = settings.leadership
    if not chosen.url:
        yield (Alone(),)
        return
    async with asking(chosen.url) as ask:
        leadership = Leadership(
            chosen,
            clock=BootClock(),
            ask=ask,
            refresh=reading(client, LEASES.path(chosen.lease, settings.kube.namespace)),
            bind_seconds=settings.extender.bind_seconds,
        )
        follower = Reflector(
            client,
            LEASES,
            leadership.lease,
            namespace=settings.kube.namespace,
            params={"fieldSelector": f"metadata.name={chosen.lease}"},
        )
        yield leadership, follower.run
