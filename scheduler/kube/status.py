"""Writes what people and a successor read: status of Tenants, and our part of that of GPUNodes.

Server-side apply as `equipoise`, so the agent's fields of a GPUNode stay the agent's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from scheduler.clock import Clock
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.errors import EquipoiseError
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.standing import Standing
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.api import Api
from scheduler.kube.budgetline import REASONS, WITHIN
from scheduler.kube.client import Patch
from scheduler.kube.conditions import find, says
from scheduler.kube.errors import ApiError, NotFound, TooManyRequests
from scheduler.kube.events import event, events_path, regarding_tenant
from scheduler.kube.gpunodestatus import (
    NOTHING,
    TAKES_PODS,
    Totals,
    gpunode_status,
    totals,
    why_closed,
)
from scheduler.kube.lagline import lags_of as lags_of
from scheduler.kube.nodebook import NodeBook
from scheduler.kube.resources import GPUNODES, TENANTS, Resource
from scheduler.kube.tenantbook import TenantBook
from scheduler.kube.wishes import Wish, lines, tenant_wish

log = logging.getLogger(__name__)

PARAMS = {"fieldManager": "equipoise", "force": "true"}

PER_SECOND, BUSY_PER_SECOND = 20.0, 0.5
"""Statuses written at most; and of GPUNodes, while pods come and go: one costs the API server as
much as creating two pods, and they must not slow that down."""

LATEST_SECONDS = 1000.0
"""Even then each GPUNode is told in that time: of many nodes more are written in a second."""

SLICE = 200
"""Objects looked at before others get their turn of the event loop."""


@dataclass(frozen=True, slots=True)
class _Written:
    """The status that an object has. `at`: when it was written from here, 0 if it wasn't."""

    uid: object
    status: Stored
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Sources:
    """Where what is written comes from.

    `standing` is asked only when `version` is another than it was, or something was left to write.
    `active`: whether this replica writes.
    """

    tenants: TenantBook
    nodes: NodeBook
    ledger: Ledger
    standing: Callable[[], Awaitable[Standing]]
    version: Callable[[], Hashable]
    active: Callable[[], bool]


class StatusWriter:
    """Writes differences only: each object every `seconds` at most, all of them at a gentle pace.

    A cluster in which nothing happens costs nothing.
    """

    def __init__(
        self,
        client: Api,
        sources: Sources,
        *,
        clock: Clock,
        seconds: float,
        instance: str = "equipoise",
    ) -> None:
        self._client, self._from, self._instance = client, sources, instance[:128]
        self._clock, self._seconds = clock, seconds
        self._written: dict[tuple[str, str], _Written] = {}
        self._failing = False
        self._seen: Hashable = None

    async def run(self) -> None:
        """Write for ever."""
        seen: Hashable = None
        left = True
        while True:
            await self._clock.sleep(self._seconds)
            if not self._from.active():
                # Another replica writes now: what was written here says nothing later.
                self._written.clear()
                left = True
                continue
            version = (self._from.version(), tuple(sorted(self._from.tenants.problems.items())))
            if left or version != seen:
                seen = version
                left = await self.write()

    async def write(self) -> bool:
        """Write what differs; whether something is left for later."""
        standing = await self._from.standing()
        # Thousands of devices are summed up beside the event loop.
        sums = await asyncio.to_thread(totals, standing.devices)
        nodes = await self._node_wishes(sums)
        wishes = chain(self._tenant_wishes(standing), nodes)
        try:
            left = await self._fulfil_all(wishes)
        except EquipoiseError as problem:
            # It doesn't answer: the others would wait in vain as well.
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(level, "statuses are written later: %s", problem)
            self._failing = True
            return True
        self._failing = False
        return left

    async def _fulfil_all(self, wishes: Iterable[Wish]) -> bool:
        left, there, end = False, set(), self._clock.now() + self._seconds
        for number, wish in enumerate(wishes, start=1):
            if not self._from.active():
                return True
            there.add(_key(wish.resource, wish.stored))
            if wish.resource is GPUNODES and self._clock.now() >= end:
                # Tenants come first, and what they are owed must not grow old.
                left = True
                continue
            left |= await self._fulfil(wish)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        self._written = {key: kept for key, kept in self._written.items() if key in there}
        return left

    def _tenant_wishes(self, standing: Standing) -> Iterator[Wish]:
        by_name, lag = {each.name: each for each in standing.tenants}, lines(standing)
        for key, stored in list(self._from.tenants.stored.items()):
            name = TenantName(key)
            yield tenant_wish(
                stored,
                by_name.get(name),
                problem=self._from.tenants.problems.get(name, ""),
                line=lag.get(name),
                before=self._last(TENANTS, stored).status,
                at=standing.at,
            )

    async def _node_wishes(self, sums: Mapping[NodeName, Totals]) -> list[Wish]:
        closed = why_closed(self._from.ledger.nodes, self._from.ledger.closed)
        wishes, now = list[tuple[tuple[bool, float], Wish]](), self._clock.now()
        for number, (key, stored) in enumerate(
            list(self._from.nodes.gpunodes.kept.items()), start=1
        ):
            name = NodeName(key)
            status = gpunode_status(
                stored, sums.get(name, NOTHING), closed=closed.get(name), at=now
            )
            wish = Wish(GPUNODES, stored, status)
            wishes.append((self._turn(wish), wish))
            if number % SLICE == 0:
                await asyncio.sleep(0)
        # There may be no time for all: whether it takes pods first, then the longest untold.
        wishes.sort(key=itemgetter(0))
        return [wish for _, wish in wishes]

    def _turn(self, wish: Wish) -> tuple[bool, float]:
        last = self._last(wish.resource, wish.stored)
        before, now = (find({"status": each}, TAKES_PODS) for each in (last.status, wish.status))
        return now is None or says(before, now), last.at

    async def _fulfil(self, wish: Wish) -> bool:
        """Write it if it is wanted and not too early; whether something is left for later."""
        last, now = self._last(wish.resource, wish.stored), self._clock.now()
        if wish.granted(last.status):
            return wish.early
        if last.at and now - last.at < self._seconds:
            return True
        try:
            await self._apply(wish)
        except TooManyRequests:
            raise
        except ApiError as problem:
            if problem.status >= 500:
                raise
            if not isinstance(problem, NotFound):
                log.warning("%s %s: status: %s", wish.resource.kind, wish.name, problem)
        # Refused for good counts as written: the same would be refused again.
        key = _key(wish.resource, wish.stored)
        self._written[key] = _Written(_uid(wish.stored), wish.status, now)
        if wish.resource is TENANTS:
            await self._tell_of_budget(wish, last.status)
        return wish.early

    async def _tell_of_budget(self, wish: Wish, before: Stored) -> None:
        """Have people told by an Event when more of a budget is used than was said before."""
        known = (find({"status": status}, WITHIN) for status in (before, wish.status))
        said, now = ((each or {}).get("reason", "Within") for each in known)
        if now in (said, "Within"):
            return
        note = event(
            regarding_tenant(wish.stored),
            action="Account",
            reason=now,
            note=REASONS[now],
            at=self._clock.now(),
            warning=now == "UsedUp",
            instance=self._instance,
        )
        try:
            await self._client.post(events_path(note), note)
        except ApiError as problem:
            log.warning("nobody was told about the budget of %s: %s", wish.name, problem)

    async def _apply(self, wish: Wish) -> None:
        path = wish.resource.path(wish.name, subresource="status")
        await self._client.patch(path, wish.body, Patch.APPLY, PARAMS, brief=True)
        await self._clock.sleep(1.0 / PER_SECOND)
        before, self._seen = self._seen, self._from.version()
        if before != self._seen and wish.resource is GPUNODES:
            a_second = max(BUSY_PER_SECOND, len(self._from.nodes.gpunodes.kept) / LATEST_SECONDS)
            await self._clock.sleep(max(0.0, 1.0 / a_second - 1.0 / PER_SECOND))

    def _last(self, resource: Resource, stored: Stored) -> _Written:
        """What it says: what was written from here, else what is stored, by whomever."""
        last = self._written.get(_key(resource, stored))
        if last is not None and last.uid == _uid(stored):
            return last
        return _Written(_uid(stored), mapping(stored, "status"))


def _key(resource: Resource, stored: Stored) -> tuple[str, str]:
    return resource.plural, str(mapping(stored, "metadata").get("name"))


def _uid(stored: Stored) -> object:
    return mapping(stored, "metadata").get("uid")
