"""What moving pods together gives: `python benchmarks/consolidation.py [--loads 90 100] [--cpu 2]`.

The default openb trace on a quarter of its nodes with its own arrivals and durations (a day at
most), for a day; who finds no room waits. Then rounds with consolidation, until nobody is moved any
more: how many of those that wait have a place by then, by how many moves. Everybody that waits is a
tenant of its own, so that all of them are looked at. With --cpu nodes have so many times the cores.
"""

import argparse
import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.departures import DAY, a_pass, traced
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory, Running
from scheduler.core.model.tenants import Tenant
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.simulator.traces.churn import passes
from scheduler.simulator.traces.pieces import Piece

RUNNING = TenantName("running")
MOST_ROUNDS = 20
PROFILE = Profile(policy="fgd", consolidate_after=0.0, most_moves=100_000, min_runtime=0.0)


@dataclass(frozen=True, slots=True)
class Found:
    """Who waited after the day, who of them had a place by moving others, and by how many moves.

    `lost`: pods that were moved and have no place in the end; milli-GPU free before and after.
    """

    ran: int
    waited: int
    placed: int
    moves: int
    lost: int
    free: tuple[int, int]
    seconds: float


class Cluster:
    """A ledger, since when pods run, and who waits."""

    def __init__(self, nodes: Sequence[Node], mix: Mix) -> None:
        self.ledger, self.mix = Ledger(nodes), mix
        self.since: dict[PodUID, float] = {}
        self.waiting: list[Pod] = []
        self._packer = Packer(self.ledger.columns, PROFILE.policy, mix=mix)

    def play(self, pieces: Sequence[Piece]) -> None:
        """Let them come and go; where one goes, who waits is tried again, the first first."""
        ends: list[tuple[float, PodUID]] = []
        seconds = {PodUID(f"p{at}"): piece.seconds for at, piece in enumerate(pieces)}
        for at, piece in enumerate(pieces):
            while ends and ends[0][0] <= piece.at:
                now, gone = heapq.heappop(ends)
                self.ledger.release(gone)
                while (pod := self._next_fitting()) is not None:
                    self._start(pod, now)
                    heapq.heappush(ends, (now + seconds[pod.uid], pod.uid))
            uid = PodUID(f"p{at}")
            pod = Pod(uid, "ns", uid, RUNNING, piece.request, created=piece.at, owner=uid)
            alike = any(each.request == pod.request for each in self.waiting)
            if not alike and self._packer.fits(pod.request):
                self._start(pod, piece.at)
                heapq.heappush(ends, (piece.at + piece.seconds, uid))
            else:
                self.waiting.append(pod)

    def consolidate(self) -> tuple[int, int]:
        """Have rounds until nobody is moved; return how many were, and who of them has no place."""
        held = [replace(pod, tenant=TenantName(f"t-{pod.uid}")) for pod in self.waiting]
        tenants = [Tenant(RUNNING), *(Tenant(pod.tenant, created=pod.created) for pod in held)]
        self.waiting, memory, moved, now = held, Memory(), set[PodUID](), DAY
        for _ in range(MOST_ROUNDS):
            now += 1.0
            running = tuple(
                Running(each.pod, each.placement, self.since[uid])
                for uid, each in self.ledger.holdings.items()
            )
            snapshot = self.ledger.snapshot(tenants=tenants)
            snapshot = replace(snapshot, running=running, memory=memory)
            plan = run_cycle(snapshot, self.waiting, now, replace(PROFILE, mix=self.mix))
            memory = plan.memory
            for admit in plan.admits:
                self.ledger.reserve(admit.pod, admit.placement)
                self.ledger.bind(admit.pod, admit.placement)
                self.since[admit.pod.uid] = now
            gone = {admit.pod.uid for admit in plan.admits}
            self.waiting = [pod for pod in self.waiting if pod.uid not in gone]
            for evict in plan.evicts:
                self.ledger.release(evict.pod.uid)
                self.waiting.append(evict.pod)
                moved.add(evict.pod.uid)
            if not plan.evicts and not plan.admits:
                break
        return len(moved), sum(pod.uid in moved for pod in self.waiting)

    @property
    def free(self) -> int:
        """Milli-GPU that nobody has."""
        return int(self.ledger.columns.room.clip(min=0).sum())

    def _next_fitting(self) -> Pod | None:
        """Take the first one out of the line that fits now."""
        found: dict[object, Pod] = {}
        for pod in self.waiting:
            found.setdefault(pod.request, pod)
        fitting = next((p for p in found.values() if self._packer.fits(p.request)), None)
        if fitting is not None:
            self.waiting.remove(fitting)
        return fitting

    def _start(self, pod: Pod, now: float) -> None:
        place = self._packer.place(pod.request)
        assert place is not None
        self.ledger.bind(pod, place)
        self.since[pod.uid] = now


def measure(load: int, cpu: float) -> Found:
    trace, once = a_pass("default", load)
    nodes = [replace(node, cpu_milli=int(node.cpu_milli * cpu)) for node in trace.nodes]
    pieces = [each for each in passes(once, seconds=DAY) if each.at < DAY]
    cluster = Cluster(nodes, Mix.of(each.request for each in once))
    cluster.play(pieces)
    ran, waited, before = len(cluster.ledger.holdings), len(cluster.waiting), cluster.free
    started = time.perf_counter()
    moves, lost = cluster.consolidate()
    seconds = time.perf_counter() - started
    placed = waited + lost - len(cluster.waiting)
    return Found(ran, waited, placed, moves, lost, (before, cluster.free), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--loads", type=int, nargs="+", default=[90, 100, 110])
    parser.add_argument("--cpu", type=float, default=1.0, metavar="TIMES")
    chosen = parser.parse_args()
    nodes = len(traced("default")[0].nodes)
    print(f"{nodes} nodes with {chosen.cpu:g} × the CPU, a day of the default trace\n")
    print("| load | running | waiting | placed by moving | moves | without a place | free GPUs |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for load in chosen.loads:
        found = measure(load, chosen.cpu)
        before, after = (milli / 1000 for milli in found.free)
        print(
            f"| {load} % | {found.ran:,} | {found.waited} | {found.placed} | {found.moves} | "
            f"{found.lost} | {before:.1f} → {after:.1f} ({found.seconds:.0f} s) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
