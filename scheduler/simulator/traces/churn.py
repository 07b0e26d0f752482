"""Pods come, wait where there is no room, run for as long as they ran in the trace, and go.

No tenants and no turns: who came first is tried first, and who fits passes who doesn't. So what is
compared are packing policies, by what they keep allocated and how long pods wait. What people ask
for is known from those that came already, as `serve` knows it; prices are refitted as it does.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from scheduler.core.ledger.columns import Columns
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import allowed_models
from scheduler.core.packing.mixer import Mixer
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import BID_PRICE
from scheduler.core.packing.single import Single, look
from scheduler.pricing.fitting import fit
from scheduler.simulator.traces.lives import Lives
from scheduler.simulator.traces.pieces import Piece, paced
from scheduler.simulator.traces.trace import Trace


@dataclass(frozen=True, slots=True)
class Churn:
    """What a policy came to after the warm-up.

    `allocated`: part of all GPUs, mean over time; seconds that pods waited, `wait` on average and
    `wait_95` 95 of 100 at most, those that wait still counted with what they have waited; `waiting`
    at the end.
    """

    allocated: float
    wait: float
    wait_95: float
    waiting: int
    came: int


def one_pass(
    trace: Trace, lives: Lives, *, gpus: int, load: float, longest: float
) -> tuple[Piece, ...]:
    """Return the trace once, `longest` seconds a pod at most, so fast that it asks for `load`."""
    pods = [(lives[pod.name], pod.request) for pod in trace.pods if pod.name in lives]
    pods.sort(key=lambda each: each[0].came)
    first = pods[0][0].came
    plain = [Piece(life.came - first, ask, min(life.ran, longest)) for life, ask in pods]
    return paced(plain, gpus=gpus, load=load)[0]


def passes(*kinds: Sequence[Piece], seconds: float) -> Iterator[Piece]:
    """Repeat each of the kinds for an equal part of the time, one after the other."""
    part = seconds / len(kinds)
    for number, kind in enumerate(kinds, start=1):
        gap = kind[-1].at * len(kind) / max(len(kind) - 1, 1)
        now, until = part * (number - 1), part * number
        while now < until:
            yield from (
                Piece(now + each.at, each.request, each.seconds)
                for each in kind
                if now + each.at < until
            )
            now += gap


def play(
    nodes: Sequence[Node],
    coming: Iterator[Piece],
    policy: str,
    *,
    seconds: float,
    warm_up: float,
    seed: int = 42,
) -> Churn:
    """Play it for so many seconds; what happens in the first `warm_up` of them isn't measured.

    Raises InvalidInput if nothing is left to be measured.
    """
    if warm_up >= seconds:
        raise InvalidInput(f"nothing is left of {seconds:.0f} s to be measured; play for longer")
    return _Cluster(nodes, policy, seed, warm_up).play(coming, seconds)


@dataclass(slots=True)
class _Waits:
    """Who waits, by request, the first first; when they came and how long they run."""

    by_request: dict[Request, list[Piece]] = field(default_factory=dict)

    def add(self, each: Piece) -> None:
        self.by_request.setdefault(each.request, []).append(each)

    def drop_first(self, request: Request) -> None:
        line = self.by_request[request]
        del line[0]
        if not line:
            del self.by_request[request]

    def in_order(self) -> list[Request]:
        """Return what is asked for, by who came first."""
        return sorted(self.by_request, key=lambda request: self.by_request[request][0].at)


class _Cluster:
    def __init__(self, nodes: Sequence[Node], policy: str, seed: int, warm_up: float) -> None:
        order = list(range(len(nodes)))
        Random(seed).shuffle(order)
        self._columns = Columns(nodes)
        self._rank = np.array(order, dtype=np.int64)
        self._policy, self._mixer = policy, Mixer()
        self._mix = self._mixer.mix
        self._packer = Packer(self._columns, policy, mix=self._mix, rank=self._rank)
        self._may: dict[Request, list[bool]] = {}
        self._waits, self._ends = _Waits(), list[tuple[float, int, Placement, Request]]()
        self._warm_up, self._now, self._held, self._number = warm_up, 0.0, 0, 0
        self._milli_seconds = 0.0
        self._waited: list[float] = []

    def play(self, coming: Iterator[Piece], seconds: float) -> Churn:
        came = 0
        for each in coming:
            if each.at >= seconds:
                break
            self._end_until(each.at)
            self._pass(each.at)
            came += 1
            self._come(each)
        self._end_until(seconds)
        self._pass(seconds)
        left = [each for line in self._waits.by_request.values() for each in line]
        self._waited += [seconds - each.at for each in left if each.at >= self._warm_up]
        waits = np.array(self._waited or [0.0])
        gpus = int(self._columns.cap.sum())
        return Churn(
            allocated=self._milli_seconds / gpus / (seconds - self._warm_up),
            wait=float(waits.mean()),
            wait_95=float(np.quantile(waits, 0.95)),
            waiting=len(left),
            came=came,
        )

    def _come(self, each: Piece) -> None:
        self._mixer.count(each.request)
        self._look_at_mix()
        # Who waits for the same fits nowhere, and came first.
        if each.request in self._waits.by_request or not self._start(each):
            self._waits.add(each)

    def _look_at_mix(self) -> None:
        if self._policy == BID_PRICE and self._mixer.prices_are_old:
            self._mixer.price(fit(self._columns, dict(self._mixer.to_be_priced().weights)))
        if self._mixer.mix is not self._mix:
            self._mix = self._mixer.mix
            self._packer = Packer(self._columns, self._policy, mix=self._mix, rank=self._rank)

    def _start(self, each: Piece, *, row: int | None = None) -> bool:
        among = None if row is None else np.array([row])
        place = self._packer.place(each.request, among=among, seed=self._number)
        if place is None:
            return False
        self._columns.take(self._columns.row[place.node], place.slots, each.request)
        self._held += place.milli
        self._number += 1
        heapq.heappush(self._ends, (self._now + each.seconds, self._number, place, each.request))
        if each.at >= self._warm_up:
            self._waited.append(self._now - each.at)
        return True

    def _end_until(self, until: float) -> None:
        while self._ends and self._ends[0][0] <= until:
            at, _, place, request = heapq.heappop(self._ends)
            self._pass(at)
            row = self._columns.row[place.node]
            self._columns.give(row, place.slots, request)
            self._held -= place.milli
            self._refill(row)

    def _refill(self, row: int) -> None:
        """Start who waited for the room that is there now; elsewhere nothing fitted anyway."""
        columns = self._columns
        single = Single.of(columns, row)
        for request in self._waits.in_order():
            if request not in self._may:
                self._may[request] = allowed_models(columns, request).tolist()
            while look(columns, single, request, self._may[request]) is not None:
                if not self._start(self._waits.by_request[request][0], row=row):
                    break
                self._waits.drop_first(request)
                single = Single.of(columns, row)
                if request not in self._waits.by_request:
                    break

    def _pass(self, until: float) -> None:
        measured = until - max(self._now, self._warm_up)
        if measured > 0:
            self._milli_seconds += measured * self._held
        self._now = until
