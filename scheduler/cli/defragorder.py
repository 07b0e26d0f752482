"""Has `serve` defragment: writes the order on Tenants, and waits until it is carried out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from scheduler import http
from scheduler.clock import SystemClock
from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import DEFRAG_MOVES, DEFRAG_UNTIL
from scheduler.core.model.pods import Pod
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.client import Client, Patch
from scheduler.kube.errors import Invalid, NotFound
from scheduler.kube.resources import PODS, TENANTS
from scheduler.kube.times import stamp
from scheduler.settings import Settings

POLL_SECONDS = 1.0
"""Between two looks at those who wait."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """For which pods, by tenant with how many moves (None: any), for so many seconds at most."""

    pods: Sequence[Pod]
    moves: Mapping[TenantName, int | None]
    seconds: float


def carry_out(
    order: Order, *, kubeconfig: str | None, context: str | None, wait: bool, tell: Tell
) -> bool | None:
    """Write the order; return whether all of them had their places in time, None without `wait`.

    Raises what Client.patch raises.
    """

    async def once() -> bool | None:
        seconds = Settings().kube.timeout_seconds
        async with await Client.connect(
            kubeconfig=kubeconfig, context=context, timeout_seconds=seconds
        ) as client:
            return await give(client, order, wait=wait, tell=tell)

    return http.run(once())


async def give(client: Client, order: Order, *, wait: bool, tell: Tell) -> bool | None:
    """Do the same with a client that is there."""
    until = SystemClock().now() + order.seconds
    async with AsyncExitStack() as taken_back:
        for name, moves in order.moves.items():
            notes = {
                DEFRAG_UNTIL: stamp(until),
                DEFRAG_MOVES: None if moves is None else str(moves),
            }
            # Before it is written: a write without an answer may be stored.
            taken_back.push_async_callback(_take_back, client, name, notes)
            patch = {"metadata": {"annotations": notes}}
            await client.patch(TENANTS.path(name), patch, Patch.MERGE, brief=True)
        tell(f"Ordered for {', '.join(order.moves)}, until {stamp(until)} at most.")
        if wait:
            return await _follow(client, order.pods, until, tell)
        taken_back.pop_all()
    tell("`kubectl get events -A --field-selector reason=Moved` says who is moved.")
    return None


async def _take_back(client: Client, tenant: TenantName, notes: Mapping[str, str | None]) -> None:
    """Take the order off the Tenant; whatever else stands there by now is somebody else's."""
    ours = {_pointer(key): text for key, text in notes.items() if text is not None}
    tests = [{"op": "test", "path": path, "value": text} for path, text in ours.items()]
    removals = [{"op": "remove", "path": path} for path in ours]
    # 422: a test failed, or nothing stands there.
    with suppress(Invalid, NotFound):
        await client.patch(TENANTS.path(tenant), [*tests, *removals], Patch.JSON, brief=True)


def _pointer(annotation: str) -> str:
    return f"/metadata/annotations/{annotation.replace('/', '~1')}"


async def _follow(client: Client, pods: Sequence[Pod], until: float, tell: Tell) -> bool:
    """Wait until each has a node, or is gone; False if one waits still at that time (seconds)."""
    left, clock = {pod.uid: pod for pod in pods}, SystemClock()
    while True:
        for pod in list(left.values()):
            what = await _became_of(client, pod)
            if what:
                tell(f"{pod.key} {what}.")
                del left[pod.uid]
        if not left:
            return True
        if clock.now() >= until:
            tell(f"{', '.join(pod.key for pod in left.values())}: `equipoise explain` says why.")
            return False
        await clock.sleep(POLL_SECONDS)


async def _became_of(client: Client, pod: Pod) -> str:
    """Say what became of a pod that waited; "": it waits on."""
    try:
        stored: Stored = await client.get(PODS.path(pod.name, pod.namespace))
    except NotFound:
        return "is gone"
    if mapping(stored, "metadata").get("uid") != pod.uid:
        return "is gone"
    node = mapping(stored, "spec").get("nodeName")
    return f"has its place on node {node}" if node else ""
