"""Who acts: two replicas never at once, whatever stops; a take-over waits as long as it must."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest

from scheduler.core.model.errors import NotLeading
from scheduler.kube.client import JSON
from scheduler.kube.leadership import Leadership, LeaseWatch
from scheduler.settings import Leadership as Settings
from scheduler.simulator import virtualtime

BIND = 4.0
EXPIRED, RELEASED = 12.5, 6.5


def lease(holder: str, renewal: int = 0) -> JSON:
    return {"spec": {"holderIdentity": holder, "renewTime": str(renewal)}}


class Hands:
    """A clock in seconds that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


@pytest.mark.parametrize(
    ("story", "free_at"),
    [
        pytest.param([], 0.0, id="nobody-ever"),
        pytest.param([(0, "ours")], 0.0, id="ours-from-the-start"),
        pytest.param([(0, "other"), (10, "ours")], EXPIRED, id="expired"),
        pytest.param([(0, "other"), (2, "other"), (12, "ours")], 2 + EXPIRED, id="renewed-expired"),
        pytest.param([(0, "other"), (2, ""), (3, "ours")], 2 + RELEASED, id="given-up"),
        pytest.param([(0, "other"), (2, ""), (9, ""), (10, "ours")], 2 + RELEASED, id="once"),
        pytest.param([(0, "other"), (10, "ours"), (12, "ours")], EXPIRED, id="own-renewals"),
        pytest.param([(0, "a"), (10, "b"), (20, "ours")], 10 + EXPIRED, id="two-before"),
    ],
)
def test_the_lease_tells_until_when_others_may_act(
    story: list[tuple[float, str]], free_at: float
) -> None:
    clock = Hands()
    watch = LeaseWatch(clock, expired=EXPIRED, released=RELEASED)
    for at, holder in story:
        clock.time = 100.0 + at
        watch.see("MODIFIED", lease(holder, int(at)))
    assert watch.free_at == (100.0 + free_at if free_at else 0.0)


@dataclass
class Replica:
    """A kube-scheduler's answer by hand, and what `serve` beside it does."""

    clock: virtualtime.LoopClock
    says: bool | None = False
    story: list[tuple[float, str]] = field(default_factory=list)
    stored: JSON = field(default_factory=dict)

    async def ask(self) -> bool:
        if self.says is None:
            raise aiohttp.ClientConnectionError("it is dead")
        return self.says

    async def refresh(self, lease: LeaseWatch) -> None:
        lease.see("MODIFIED", self.stored)

    async def take_over(self) -> None:
        self.story.append((self.clock.now(), "acts"))

    def step_down(self) -> None:
        self.story.append((self.clock.now(), "rests"))

    def start(self) -> Awaitable[None]:
        self.leadership = Leadership(
            Settings(url="http://there"),
            clock=self.clock,
            ask=self.ask,
            refresh=self.refresh,
            bind_seconds=BIND,
        )
        return self.leadership.run(self.take_over, self.step_down)


def play(script: Callable[[Replica], Awaitable[None]]) -> Replica:
    """Run a replica beside a script that ends it."""
    replica = Replica(virtualtime.LoopClock())

    async def both() -> None:
        import asyncio  # noqa: PLC0415 - the loop is virtual time's

        task = asyncio.ensure_future(replica.start())
        await script(replica)
        task.cancel()

    virtualtime.run(both())
    return replica


def test_the_first_to_lead_acts_once_its_predecessor_must_have_ended() -> None:
    async def script(replica: Replica) -> None:
        replica.says, replica.stored = True, lease("ours")
        began = replica.clock.now()
        await replica.clock.sleep(BIND - 0.5)
        assert not replica.leadership.active
        await replica.clock.sleep(2.0)
        assert replica.leadership.active
        assert replica.story[0][0] - began >= BIND

    play(script)


def test_a_take_over_waits_for_the_last_that_the_other_could_do() -> None:
    async def script(replica: Replica) -> None:
        replica.stored = lease("other", 1)
        await replica.refresh(replica.leadership.lease)
        seen = replica.clock.now()
        await replica.clock.sleep(10.0)
        replica.says, replica.stored = True, lease("ours", 2)
        await replica.clock.sleep(10.0)
        assert replica.leadership.active
        assert EXPIRED <= replica.story[0][0] - seen <= EXPIRED + 1.0

    play(script)


def test_a_no_ends_it_at_once_and_silence_after_a_short_while() -> None:
    async def script(replica: Replica) -> None:
        replica.says, replica.stored = True, lease("ours")
        await replica.clock.sleep(6.0)
        replica.leadership.fence()
        replica.says = None
        await replica.clock.sleep(1.1)
        replica.leadership.fence()
        await replica.clock.sleep(1.9)
        with pytest.raises(NotLeading):
            replica.leadership.fence()
        replica.says = True
        await replica.clock.sleep(1.5)
        replica.leadership.fence()
        replica.says = False
        await replica.clock.sleep(1.1)
        with pytest.raises(NotLeading):
            replica.leadership.fence()

    assert [what for _, what in play(script).story] == ["acts", "rests", "acts", "rests"]
