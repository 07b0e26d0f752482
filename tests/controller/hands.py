"""A controller with everything around it made by hand: who carries out, who watches, the time."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scheduler.clock import Clock
from scheduler.controller.controller import Controller
from scheduler.controller.ports import Applier
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Verdict
from scheduler.settings import Settings


@dataclass
class Hands:
    """An applier: notes what it is told, and answers for a pod as `answers` says, True if nothing.

    `meanwhile` happens while the release of a pod is under way; none ends while `shut`. `going`:
    what an eviction is answered with.
    """

    answers: dict[str, bool | Exception] = field(default_factory=dict)
    going: bool | Exception = True
    meanwhile: Callable[[Pod], None] = lambda _pod: None
    released: list[str] = field(default_factory=list)
    places: dict[str, Placement] = field(default_factory=dict)
    held: list[tuple[str, str]] = field(default_factory=list)
    warned: list[tuple[str, str]] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    stopped: list[tuple[str, str, bool]] = field(default_factory=list)
    made_way: list[tuple[str, str]] = field(default_factory=list)
    reminded: list[tuple[str, str]] = field(default_factory=list)
    pinnable: dict[str, bool] = field(default_factory=dict)
    speechless: bool = False
    under_way: int = 0
    most_under_way: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    shut: bool = False

    def open(self) -> None:
        """Let the releases end that wait for it."""
        self.shut = False
        self._open.set()

    async def release(self, admit: Admit) -> bool:
        pod = admit.pod
        self.released.append(pod.name)
        self.places[pod.name] = admit.placement
        self.pinnable[pod.name] = pod.pinnable
        self.meanwhile(pod)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.shut:
            self._open.clear()
            await self._open.wait()
        self.under_way -= 1
        answer = self.answers.get(pod.name, True)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def hold(self, hold: Hold) -> None:
        self.held.append((hold.pod.name, hold.verdict.reason))
        if self.speechless:
            raise ConnectionError("no events today")

    async def warn(self, pod: Pod, verdict: Verdict) -> None:
        self.warned.append((pod.name, verdict.reason))

    async def remind(self, pod: Pod, node: NodeName) -> None:
        self.reminded.append((pod.name, node))

    async def make_way(self, running: Pod, waiting: Pod) -> bool:
        self.made_way.append((running.name, waiting.name))
        return self.going is True

    async def evict(self, pod: Pod, why: Verdict) -> bool:
        self.evicted.append(pod.name)
        if isinstance(self.going, Exception):
            raise self.going
        return self.going

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        self.stopped.append((pod.name, why.reason, past_budgets))
        if isinstance(self.going, Exception):
            raise self.going
        return self.going


@dataclass
class Eyes:
    """A watcher. `blind` rounds fail, one after the other."""

    waits: list[tuple[str, float, float]] = field(default_factory=list)
    decisions: list[tuple[str, str]] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    held_for: dict[str, float] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    blind: int = 0

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        self.waits.append((tenant, seconds, turn))

    def count_decision(self, outcome: str, reason: str = "", *, by: int = 1) -> None:
        self.decisions += [(outcome, reason)] * by

    def observe_loss(self, pod: Pod, gpu_seconds: float) -> None:
        self.lost[pod.name] = gpu_seconds

    def observe_hold(self, reason: str, pod_seconds: float) -> None:
        self.held_for[reason] = self.held_for.get(reason, 0.0) + pod_seconds

    def observe_cycle(self, phase: str, seconds: float) -> None:
        self.phases.append(phase)
        if self.blind:
            self.blind -= 1
            raise RuntimeError("blind")


def controller(
    ledger: Ledger,
    tenants: Iterable[Tenant],
    *,
    clock: Clock,
    hands: Applier | None = None,
    eyes: Eyes | None = None,
    settings: Settings | None = None,
    worker_above: int | None = None,
    active: bool = True,
) -> Controller:
    made = Controller(
        ledger,
        clock=clock,
        settings=settings or Settings(),
        applier=hands or Hands(),
        watcher=eyes or Eyes(),
        worker_above=worker_above,
        active=active,
    )
    made.set_tenants(tenants)
    return made
