"""Whatever comes and goes: lags of siblings sum to zero, and every pod waits or holds a place."""

import asyncio
import math
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.standing import oversold_milli
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from tests.controller.hands import Hands, controller
from tests.support.builders import device, node, pod, share, tenant, whole
from tests.support.extenders import ManualClock

TENANTS = [
    tenant("top", weight=3),
    tenant("a", "top"),
    tenant("b", "top", weight=2, guarantee=1),
    tenant("c", limit=2),
    tenant("d", weight="1/2", priority=200),
]
LEAVES = "abcd"
REQUESTS = st.sampled_from([share(250), share(500), share(300, 2), whole(), whole(2)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("round"), st.just(0)),
        st.tuples(st.just("add"), st.integers(0, 3)),
        st.tuples(st.just("bind"), st.integers(0, 99)),
        st.tuples(st.just("end"), st.integers(0, 99)),
        st.tuples(st.just("ill"), st.integers(0, 1)),
        st.tuples(st.just("time"), st.floats(0.001, 60.0)),
    ),
    max_size=30,
)


class History:
    """A controller among pods that come and go. Everybody has a backlog, so nobody is reset."""

    def __init__(self) -> None:
        self.clock, self.hands = ManualClock(), Hands()
        self.ledger = Ledger([node("n1", 3), node("n2", 2)])
        self.controller = controller(self.ledger, TENANTS, clock=self.clock, hands=self.hands)
        self.pods: dict[str, Pod] = {}
        self.turnover, self.numbers = 1.0, count()
        for leaf in LEAVES:
            for _ in range(8):
                self.add(leaf, whole() if leaf in "ac" else share(500))

    def add(self, leaf: str, request: Request) -> None:
        new = pod(f"{leaf}{next(self.numbers)}", request, leaf, created=self.clock.time)
        self.pods[new.uid] = new
        self.controller.add(new)

    def step(self, what: str, number: float, draw: st.DataObject) -> None:
        holdings = list(self.ledger.holdings.values())
        match what:
            case "round":
                asyncio.run(self.controller.round())
            case "add":
                self.add(LEAVES[int(number)], draw.draw(REQUESTS))
            case "bind" if holdings:
                one = holdings[int(number) % len(holdings)]
                self.controller.bound(one.pod, one.placement)
            case "end" if holdings:
                one = holdings[int(number) % len(holdings)]
                self.controller.gone(one.pod.uid)
                del self.pods[one.pod.uid]
            case "ill":
                sick = device("n2/1", healthy=bool(number))
                self.controller.put_nodes([node("n2", [device("n2/0"), sick])])
            case "time":
                self.clock.time += number
                self.turnover += number * 10

    def check(self) -> None:
        now = self.controller.standing()
        assert oversold_milli(self.ledger.columns) == 0
        for parent in (None, "top"):
            siblings = [each.lag for each in now.tenants if each.parent == parent]
            assert abs(math.fsum(siblings)) <= 1e-9 * self.turnover
        queued, held = set(self.controller.queue.pods), set(self.ledger.holdings)
        assert queued | held == set(self.pods)
        assert not queued & held


@settings(max_examples=60)
@given(STEPS, st.data())
def test_lags_of_siblings_sum_to_zero_and_every_pod_waits_or_holds(
    steps: list[tuple[str, float]], draw: st.DataObject
) -> None:
    history = History()
    history.step("round", 0, draw)
    for what, number in steps:
        history.step(what, number, draw)
        history.check()
    service = history.controller.service()
    held = sum(each.got for each in service.values())
    assert held <= 5 * (history.clock.time - 1_000.0) + 1e-6
