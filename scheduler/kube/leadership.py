"""Which replica acts: the one beside the kube-scheduler that holds the Lease.

kube-scheduler elects its leader by a Lease; we add no election of our own. Each `serve` asks the
kube-scheduler beside it whether that one leads, and believes a yes only for a while: the Lease ends
`lease` seconds after its last renewal, and a leader that can't renew says yes for `renew` seconds
more at most. So after a yes at t the Lease lasts at least until t + lease − renew, and nobody
else acts before. docs/decisions/0005-who-acts.md has the whole argument.
"""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import aiohttp

from scheduler.clock import Clock
from scheduler.core.model.errors import EquipoiseError, NotLeading
from scheduler.kube.api import Api
from scheduler.kube.client import JSON
from scheduler.kube.errors import NotFound
from scheduler.settings import Leadership as Settings

MARGIN_SECONDS = 1.5
"""A yes is believed so much shorter than the Lease lasts: clocks differ, and requests take time."""

ANSWER_SECONDS = 1.0

MASTER = re.compile(rb"^leader_election_master_status\{[^}]*\} ([01])", re.MULTILINE)
"""client-go's metric; a scheduler that doesn't elect has none."""

log = logging.getLogger(__name__)

TakeOver = Callable[[], Awaitable[None]]

Ask = Callable[[], Awaitable[bool]]
"""Whether the kube-scheduler beside us leads now; raises if it doesn't answer."""


class Elections(Protocol):
    """Who acts. `Alone` where there is one replica, `Leadership` where there are several."""

    @property
    def active(self) -> bool:
        """Whether this replica may act now."""
        ...

    def fence(self) -> None:
        """Raise NotLeading unless this replica may act now. Called right before every write."""
        ...

    async def run(self, take_over: TakeOver, step_down: Callable[[], None]) -> None:
        """Follow, and call when it's our turn and when it no longer is."""
        ...


class Alone:
    """The one replica: it acts from its start."""

    active = True

    def fence(self) -> None:
        """Let pass."""

    async def run(self, take_over: TakeOver, step_down: Callable[[], None]) -> None:
        """Begin."""
        await take_over()


class LeaseWatch:
    """Sink of the Lease: until when somebody else may act. Seconds of `clock`.

    `expired`: how long a holder that stopped renewing may still act after its last renewal was
    seen; `released`: how long after it was seen to give the Lease up.
    """

    def __init__(self, clock: Clock, *, expired: float, released: float) -> None:
        self._clock, self._expired, self._released = clock, expired, released
        self._holder: str | None = None
        self._until = 0.0
        self.free_at = 0.0
        """When every holder before the present one can no longer act."""

    def replace(self, items: Sequence[JSON]) -> None:
        """Take the list in."""
        for item in items:
            self.see("ADDED", item)

    def see(self, event: str, item: JSON) -> None:
        """Take a change in; every renewal is one."""
        spec = {} if event == "DELETED" else item.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if not holder:
            self._until = min(self._until, self._clock.now() + self._released)
        if holder != self._holder:
            self.free_at = max(self.free_at, self._until)
            self._holder = holder
        if holder:
            self._until = self._clock.now() + self._expired


class Leadership:
    """Follows the kube-scheduler beside us. `clock` must go on while the process is stopped.

    `refresh` reads the Lease and tells the LeaseWatch, so that a late watch can't mislead.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        ask: Ask,
        refresh: Callable[[LeaseWatch], Awaitable[None]],
        bind_seconds: float,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._ask, self._refresh = ask, refresh
        self._trust = settings.lease_seconds - settings.renew_seconds - MARGIN_SECONDS
        self.lease = LeaseWatch(
            clock,
            # Say yes to itself, be believed, and finish a write.
            expired=settings.renew_seconds + self._trust + bind_seconds,
            released=self._trust + bind_seconds,
        )
        # What ran here before us may have left a write under way.
        self._free_at = clock.now() + bind_seconds
        self._yes_at: float | None = None
        self._ready = False

    @property
    def leads(self) -> bool:
        """Whether the last yes still counts."""
        return self._yes_at is not None and self._clock.now() - self._yes_at < self._trust

    @property
    def active(self) -> bool:
        """Whether this replica may act: it leads, and has taken over."""
        return self._ready and self.leads

    def fence(self) -> None:
        """Raise NotLeading unless this replica may act now."""
        if not self.active:
            raise NotLeading("another replica may act by now; nothing was sent")

    async def run(self, take_over: TakeOver, step_down: Callable[[], None]) -> None:
        """Follow for ever: `take_over` when it's our turn, `step_down` when it no longer is.

        `take_over` is awaited once others have ended what they had begun, and before `active`.
        """
        while True:
            await self._follow()
            if self._ready and not self.leads:
                self._ready = False
                step_down()
                log.warning("this replica acts no longer")
            elif not self._ready and self.leads:
                await self._try_to_begin(take_over)
            await self._clock.sleep(self._settings.poll_seconds)

    async def _follow(self) -> None:
        asked_at = self._clock.now()
        # One that doesn't answer may still lead: what it said last counts for as long as it did.
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            self._yes_at = asked_at if await self._ask() else None

    async def _try_to_begin(self, take_over: TakeOver) -> None:
        try:
            await self._refresh(self.lease)
            if self._clock.now() >= max(self._free_at, self.lease.free_at):
                await take_over()
                self._ready = True
                log.info("this replica acts from now on")
        except EquipoiseError as problem:
            log.warning("this replica can't begin to act yet: %s", problem)


@contextlib.asynccontextmanager
async def asking(url: str) -> AsyncIterator[Ask]:
    """Ask a kube-scheduler's metrics. Its certificate is its own; it is reached by loopback."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def ask() -> bool:
            async with session.get(f"{url}/metrics", ssl=False) as answer:
                found = MASTER.search(await answer.read())
                return answer.status == 200 and found is not None and found[1] == b"1"

        yield ask


def reading(client: Api, path: str) -> Callable[[LeaseWatch], Awaitable[None]]:
    """Read the Lease at that path, and tell what it says."""

    async def refresh(lease: LeaseWatch) -> None:
        try:
            lease.see("MODIFIED", await client.get(path))
        except NotFound:
            lease.see("DELETED", {})

    return refresh
