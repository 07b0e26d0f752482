"""Filters, binds, lost answers, crashes, deletions in any order: no device is ever sold twice."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
)

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import PodUID
from scheduler.extender import wire
from tests.support.extenders import (
    FakeApi,
    ManualClock,
    binding,
    node,
    offer,
    oversold,
    pod_json,
    service,
    tenant_of,
)

NODES = {"a": 1, "b": 1, "c": 2}
OFFERS = st.sampled_from(["a b c", "a", "b c", "c", "c b unknown", "unknown"]).map(str.split)
PODS = st.integers(0, 4)
FRACTIONS = st.sampled_from(["1", "0.75", "0.5", "0.3", "0.25", "2", "1.5", None])
MOODS = st.sampled_from(["wait", "early", "", "lost", "down"])


class Extender(RuleBasedStateMachine):
    """An extender beside an API server. A watch tells what it missed, at the latest before time
    passes; a restart lists the pods.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock, self.api = ManualClock(), FakeApi()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.flying: list[asyncio.Task[str]] = []
        self.closed: set[str] = set()
        self.uids: dict[int, str] = {}
        for number in range(5):
            self._create(number, ("1", "1", "0.75", "0.5", None)[number])
        self._serve(Ledger([node(name, devices) for name, devices in NODES.items()]))

    def _serve(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.service = service(ledger, self.api, clock=self.clock)

    def _step(self) -> None:
        for _ in range(6):
            self.loop.run_until_complete(asyncio.sleep(0))

    def _create(self, number: int, fraction: str | None, count: str | None = None) -> None:
        uid = self.uids[number] = f"pod-{len(self.bodies)}"
        notes = {"gpu_count": count} if count and fraction in ("0.25", "0.5") else {}
        self.bodies[uid] = pod_json(uid, fraction, **notes)
        self.api.create(uid)

    @rule(number=PODS, names=OFFERS)
    def filter(self, number: int, names: list[str]) -> None:
        uid = self.uids[number]
        result = self.service.filter(offer(self.bodies[uid], *names))
        assert set(result.names) <= set(names)
        assert set(result.failed) == (set() if result.names else set(names))
        if result.names and uid in self.ledger.holdings:
            assert [self.ledger.holdings[PodUID(uid)].placement.node] == list(result.names)

    @rule(number=PODS, names=OFFERS, mood=MOODS)
    def travel(self, number: int, names: list[str], mood: str) -> None:
        """Filter, and bind at once: what kube-scheduler does most of the time."""
        self.filter(number, names)
        self.bind(number, names[0], mood)

    @rule(number=PODS, name=st.sampled_from([*NODES]), mood=MOODS)
    def bind(self, number: int, name: str, mood: str) -> None:
        """Bind where the pod has its place. "wait": the answer comes later. "early": stored now."""
        uid = self.uids[number]
        holding = self.ledger.holdings.get(PodUID(uid))
        target = holding.placement.node if holding is not None else name
        if mood in ("wait", "early"):
            self.api.gate.clear()
        self.api.early = mood == "early"
        self.api.failures = [mood] if mood in ("lost", "down") and self.api.gate.is_set() else []
        self.flying.append(self.loop.create_task(self.service.bind(binding(uid, target))))
        self._step()
        self.api.failures = []
        task = self.flying[-1]
        if task.done() and task.result() == "" and holding is not None:
            assert self.ledger.holdings[PodUID(uid)].bound

    @rule(failures=st.lists(st.sampled_from(["", "lost", "down"]), max_size=4))
    def answer(self, failures: list[str]) -> None:
        """Let the API server answer all that waits, in one of its moods."""
        self.api.failures = failures
        self.api.gate.set()
        self._step()
        self.api.failures = []
        assert all(task.done() for task in self.flying)
        self.flying = []

    @rule()
    def hang_up(self) -> None:
        for task in self.flying:
            task.cancel()
        self._step()
        self.flying = []

    @rule(number=PODS, fraction=FRACTIONS, count=st.sampled_from([None, "2"]))
    def delete(self, number: int, fraction: str | None, count: str | None) -> None:
        """Delete a pod; another one comes in its place."""
        uid = PodUID(self.uids[number])
        del self.api.pods[uid]
        self.ledger.release(uid)
        self._create(number, fraction, count)

    @rule(name=st.sampled_from([*NODES]))
    def cordon_or_not(self, name: str) -> None:
        self.closed ^= {name}
        self.ledger.put_nodes([node(name, NODES[name], is_open=name not in self.closed)])

    @rule()
    def watch(self) -> None:
        """Tell the ledger all that the API server has stored."""
        for uid, placement in self.api.placements().items():
            pod = wire.decode_pod(self.bodies[uid], tenant_of)
            self.ledger.bind(pod, placement)

    @rule(seconds=st.sampled_from([1.0, 20.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.watch()
        self.clock.time += seconds

    @rule(stored=st.booleans())
    def crash(self, stored: bool) -> None:
        """Die with binds in the air: their writes are stored or not. Then list and go on."""
        if stored:
            self.answer([])
        self._cancel_all()
        self.api.gate.set()
        self._serve(self.ledger.rebuilt())
        self.watch()

    @invariant()
    def no_device_is_sold_twice(self) -> None:
        assert oversold(self.ledger) == 0
        truth = Ledger([node(name, devices) for name, devices in NODES.items()])
        for uid, placement in self.api.placements().items():
            truth.bind(wire.decode_pod(self.bodies[uid], tenant_of), placement)
        assert oversold(truth) == 0

    @invariant()
    def the_ledger_is_the_fold_over_bound_pods(self) -> None:
        holdings = self.ledger.holdings
        stored = self.api.placements()
        bound = {uid: holding.placement for uid, holding in holdings.items() if holding.bound}
        assert bound.items() <= stored.items()
        # What is stored and not yet told is reserved at least, at the very same place.
        assert all(holdings[uid].placement == stored[uid] for uid in stored)
        if len(bound) == len(holdings):
            assert self.ledger.rebuilt().columns.same_as(self.ledger.columns)

    def _cancel_all(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self._step()
        self.flying = []

    def teardown(self) -> None:
        self._cancel_all()
        self.loop.close()


Extender.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestAnyOrder = Extender.TestCase
