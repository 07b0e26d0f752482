"""Filter over HTTP: 5,000 nodes × 8 devices in the ledger, 100, 500 and 5,000 names in a call.

Server and client are processes of their own on loopback, the client a bare socket that is kept
open. Beside each figure stands a handler that does nothing, on the same server with the same body.
Prints a table in Markdown and ends by itself: `python benchmarks/filter_latency.py [--calls 1000]`.
"""

import argparse
import asyncio
import gc
import multiprocessing
import resource
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import orjson

from scheduler import http, settings
from scheduler.clock import SystemClock
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import BindRefused
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod, PodRef
from scheduler.core.model.requests import Request
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.extender.app import create_app
from scheduler.extender.service import ExtenderService, Planner

NODES, DEVICES, MIB = 5_000, 8, 81_920
SIZES = (100, 500, 5_000)
PLANNED = 500
FRACTIONS = (100, 200, 250, 300, 400, 500, 600, 750)
POLICIES = ("best-fit", "fgd")
GOAL_MS = 5.0
"""For p99 at 5,000 names."""

WARM_UP = 50

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def name(row: int) -> NodeName:
    """A name as long as clouds give them."""
    return NodeName(f"gpu-pool-eu-west-1-n{row:05d}")


def ledger() -> Ledger:
    """Return a cluster whose devices are mostly half full, and pods reserved beside them."""
    cards = [
        tuple(Device(DeviceUUID(f"GPU-{row:05d}-{i}"), "A100", MIB) for i in range(DEVICES))
        for row in range(NODES)
    ]
    made = Ledger(Node(name(row), cards[row], 128_000, 2**20) for row in range(NODES))
    for row in range(NODES):
        for index in range(DEVICES):
            milli = FRACTIONS[(row * 7 + index) % len(FRACTIONS)]
            made.bind(*claim(f"bound-{row}-{index}", row, index, milli))
    for number in range(PLANNED):
        made.reserve(*claim(f"planned-{number}", number % 100, number // 100, 100))
    return made


def claim(uid: str, row: int, index: int, milli: int) -> tuple[Pod, Placement]:
    """Return a pod and its place."""
    request = Request(devices=1, milli=milli, cpu_milli=1_000, ram_mib=2_048)
    pod = Pod(PodUID(uid), "lab", uid, TenantName("lab"), request)
    slot = Slot(index, DeviceUUID(f"GPU-{row:05d}-{index}"), milli, MIB * milli // 1000)
    return pod, Placement(name(row), (slot,))


class Nobody:
    """Binds nothing."""

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        raise BindRefused("nothing is bound here")


def asked_for() -> Mix:
    """Return what people ask for: shares of a card, and one, two, four or eight whole ones."""
    shares = [Request(devices=1, milli=milli, cpu_milli=1_000) for milli in FRACTIONS]
    wholes = [Request(devices=count, milli=1000, cpu_milli=8_000) for count in (1, 2, 4, 8)]
    return Mix.of([*shares, *shares, *wholes], keep=1.0)


def planner(columns: Any, policy: str) -> Planner:
    """Return the packer as a planner."""
    packer = Packer(columns, policy=policy, mix=asked_for())
    rows = columns.row

    def plan(pod: Pod, names: Sequence[NodeName]) -> Placement | Verdict:
        among = np.fromiter(map(rows.__getitem__, names), dtype=np.int64, count=len(names))
        return packer.place(pod.request, among=among) or Verdict(Reason.NO_ROOM)

    return plan


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer with two bytes."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def application(policy: str) -> Any:
    """Return the extender, with the handler that does nothing at `/nothing`."""
    held = ledger()
    options = settings.Extender(reservation_seconds=0.5)
    service = ExtenderService(
        held,
        plan=planner(held.columns, policy),
        binder=Nobody(),
        clock=SystemClock(),
        settings=options,
        tenant_of=lambda name, _user: TenantName(name),
    )
    extender = create_app(service)

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/nothing":
            await nothing(scope, receive, send)
        else:
            await extender(dict(scope), receive, send)  # type: ignore[arg-type]

    return either


def serve(policy: str, pipe: Connection) -> None:
    """Serve until the other end of the pipe says so; then tell the memory (MiB) at its most."""
    app = application(policy)
    gc.collect()
    gc.freeze()

    async def main() -> None:
        async with http.serving(app, "127.0.0.1", 0) as address:
            pipe.send(address.port)
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    http.run(main())
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Client:
    """One connection that is kept open, as kube-scheduler's."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def post(self, path: str, body: bytes) -> tuple[float, bytes]:
        """Return seconds from the first byte sent to the last one read, and the answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        began = time.perf_counter()
        self._socket.sendall(request)
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            key, _, value = line.partition(b":")
            if key.lower() == b"content-length":
                length = int(value)
        answer = self._file.read(length)
        return time.perf_counter() - began, answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def pod_json(uid: str, milli: int, cpu: str = "1") -> dict[str, Any]:
    """Return a pod of the size at which kube-scheduler sends a small one (1.4 kB)."""
    env = [{"name": f"SETTING_{number}", "value": "x" * 24} for number in range(12)]
    wants = {"requests": {"cpu": cpu, "memory": "2Gi"}}
    return {
        "metadata": {
            "name": uid,
            "namespace": "lab",
            "uid": uid,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"equipoise.dev/gpu-fraction": f"{milli / 1000}"},
            "labels": {"app": "training", "team": "lab"},
        },
        "spec": {
            "containers": [
                {"name": "main", "image": "registry/training:1", "env": env, "resources": wants}
            ],
            "priority": 0,
            "schedulerName": "equipoise",
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        },
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


def bodies(kind: str, size: int, numbers: Iterator[int]) -> Iterator[bytes]:
    """Yield filter bodies: of pods that hold a reservation, or of others never seen before."""
    while True:
        number = next(numbers)
        if kind == "planned before":
            first, pod = 0, pod_json(f"planned-{number % PLANNED}", 100)
        else:
            # A window that moves over the cluster, as kube-scheduler's does.
            first = number * 37 % (NODES - size + 1)
            # Scores are kept by shape of request; an odd amount of CPU makes a shape unseen.
            cpu = f"{1_000 + number % 9_000}m" if kind.startswith("unseen") else "1"
            pod = pod_json(f"new-{number}", FRACTIONS[number % len(FRACTIONS)], cpu)
        names = [name(row) for row in range(first, first + size)]
        yield orjson.dumps({"Pod": pod, "Nodes": None, "NodeNames": names})


def measure(client: Client, path: str, source: Iterator[bytes], calls: int) -> list[float]:
    """Return milliseconds of each call, after a warm-up."""
    took = []
    for number in range(calls + WARM_UP):
        seconds, answer = client.post(path, next(source))
        if path == "/filter" and not orjson.loads(answer)["NodeNames"]:
            raise SystemExit(f"a pod found no place: {answer[:200]!r}")
        if number >= WARM_UP:
            took.append(seconds * 1000)
    return took


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all don't exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def report(client: Client, policy: str, calls: int, numbers: Iterator[int]) -> float:
    """Print a row for each kind and size; return the highest p99 at the largest size."""
    worst = 0.0
    kinds = ("planned before", f"planned in filter ({policy})", f"unseen shape ({policy})")
    for kind in kinds:
        for size in SIZES:
            idle = measure(client, "/nothing", bodies(kind, size, numbers), calls)
            took = measure(client, "/filter", bodies(kind, size, numbers), calls)
            p50, p99 = statistics.median(took), percentile(took, 0.99)
            base, base99 = statistics.median(idle), percentile(idle, 0.99)
            print(
                f"| {kind} | {size:,} | {p50:.2f} | {p99:.2f} | {max(took):.2f} "
                f"| {base:.2f} | {base99:.2f} | {p50 / base:.1f} × |",
                flush=True,
            )
            worst = max(worst, p99 if size == max(SIZES) else 0.0)
    return worst


def run(policy: str, calls: int) -> tuple[float, float]:
    """Measure one policy; return the worst p99 (ms) and the server's memory (MiB)."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    server = context.Process(target=serve, args=(policy, theirs), daemon=True)
    server.start()
    client = Client(pipe.recv())
    try:
        worst = report(client, policy, calls, count())
    finally:
        client.close()
        pipe.send("end")
    memory = float(pipe.recv())
    server.join()
    return worst, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="calls for each figure")
    parser.add_argument("--policy", action="append", help=f"default: {', '.join(POLICIES)}")
    asked = parser.parse_args()
    print(f"{NODES:,} nodes × {DEVICES} devices, {asked.calls} calls each, milliseconds\n")
    print("| pod | names | p50 | p99 | max | no-op p50 | no-op p99 | p50 ÷ no-op |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    results = [run(policy, asked.calls) for policy in asked.policy or POLICIES]
    worst, memory = max(p99 for p99, _ in results), max(mib for _, mib in results)
    verdict = "reached" if worst <= GOAL_MS else "missed"
    print(f"\nGoal p99 <= {GOAL_MS:g} ms at {max(SIZES):,} names: {verdict} ({worst:.2f} ms)")
    print(f"Memory of the server at its most: {memory:.0f} MiB")


if __name__ == "__main__":
    main()
