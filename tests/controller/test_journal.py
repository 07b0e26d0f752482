"""A controller's journal: whatever happened, its rounds are decided alike again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.core.journal.comparing import differences, replay
from scheduler.core.journal.inputs import Inputs
from scheduler.core.journal.reading import Entry, Reader, parse
from scheduler.core.journal.writing import Recorder
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.settings import Fairness, Reclaim, Settings
from tests.controller.hands import Hands, controller
from tests.support.builders import device, node, pod, tenant, whole
from tests.support.extenders import ManualClock

SETTINGS = Settings(
    fairness=Fairness(reserve_seconds=120.0), reclaim=Reclaim(patience_seconds=300.0)
)
TENANTS = [tenant("big", weight=9), tenant("small"), tenant("tiny", weight="1/7")]


@dataclass
class Pages:
    """A journal whose lines are kept."""

    lines: list[str] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    recorder: Recorder = field(default_factory=Recorder)

    def note(self, inputs: Inputs, plan: Plan) -> None:
        self.lines.append(self.recorder.line(inputs, plan))
        self.plans.append(plan)


def entries(lines: Sequence[str]) -> list[Entry]:
    reader = Reader()
    return [reader.read(parse(line)) for line in lines]


class Story:
    """A controller, told by hand what happens; whoever is released is bound at once."""

    def __init__(self, *, worker_above: int | None = None) -> None:
        self.clock, self.pages, self.hands = ManualClock(), Pages(), Hands()
        self.ledger = Ledger([node("n1", 4), node("n2", 4)])
        self.controller = controller(
            self.ledger,
            TENANTS,
            clock=self.clock,
            hands=self.hands,
            settings=SETTINGS,
            worker_above=worker_above,
        )
        self.controller.take_down(self.pages)

    def arrive(self, *pods: Pod) -> None:
        for each in pods:
            self.controller.add(each, owner="job")

    async def rounds(self, count: int, *, seconds: float) -> None:
        for _ in range(count):
            self.clock.time += seconds
            plan = await self.controller.round()
            for admit in plan.admits:
                self.controller.bound(admit.pod, admit.placement)
                self.controller.runs(admit.pod, self.clock.time)

    async def play(self) -> None:
        """Small ones fill the cluster, a large one waits: kept for it, reclaimed for it."""
        self.arrive(*(pod(f"b{n}", 500, "big", created=float(n)) for n in range(24)))
        self.arrive(pod("brief", 500, "big", created=-1.0, max_runtime=200.0))
        await self.rounds(3, seconds=1.0)
        self.arrive(pod("large", whole(2), "small", created=100.0), pod("t", 250, "tiny"))
        await self.rounds(8, seconds=30.0)
        for uid in ("b0", "b5", "b9"):
            self.controller.gone(PodUID(uid))
        cards = [device(f"n2/{index}", load=index * 300) for index in range(4)]
        cards[3] = replace(cards[3], healthy=False)
        self.controller.put_nodes([node("n2", cards), node("n3", 2)])
        await self.rounds(8, seconds=60.0)
        self.controller.set_tenants([*TENANTS, tenant("late", guarantee=1)])
        self.arrive(*(pod(f"l{n}", 1000, "late", created=500.0 + n) for n in range(3)))
        self.controller.drop_node(NodeName("n3"))
        await self.rounds(8, seconds=90.0)
        self.controller.set_active(False)
        self.controller.set_active(True)
        await self.rounds(2, seconds=5.0)


@pytest.mark.parametrize("worker_above", [None, 0])
async def test_a_story_with_reservations_and_reclaim_is_decided_alike(
    worker_above: int | None,
) -> None:
    story = Story(worker_above=worker_above)
    await story.play()
    plans = story.pages.plans
    assert any(plan.memory.reservations for plan in plans)
    stopped = [each for plan in plans for each in plan.evicts]
    assert {each.taker is None for each in stopped} == {True, False}
    assert sum(len(plan.admits) for plan in plans) > 16
    found = entries(story.pages.lines)
    assert [entry.plan for entry in found] == plans
    assert [differences(entry.plan, replay(entry.inputs)) for entry in found] == [[]] * len(plans)


async def test_another_profile_decides_otherwise() -> None:
    story = Story()
    await story.play()
    for name, value in (("reclaim_after", None), ("policy", "spread"), ("horizon", 1.0)):
        others = [
            differences(entry.plan, replay(entry.inputs.by(_with(entry, name, value))))
            for entry in entries(story.pages.lines)
        ]
        assert any(others), name


async def test_what_a_worker_decided_is_journaled_with_what_it_saw() -> None:
    story = Story(worker_above=0)
    story.arrive(pod("p1", 500, "big"))
    deciding = asyncio.ensure_future(story.controller.round())
    await asyncio.sleep(0)
    # It came when the round had begun.
    story.arrive(pod("p2", 500, "big"))
    await deciding
    (entry,) = entries(story.pages.lines)
    assert [*entry.inputs.pending] == ["p1"]
    assert [admit.pod.uid for admit in entry.plan.admits] == ["p1"]


async def test_a_round_that_counts_for_nothing_is_in_no_journal() -> None:
    story = Story()
    story.controller.set_active(False)
    await story.controller.round()
    assert story.pages.lines == []


def _with(entry: Entry, name: str, value: Any) -> Profile:
    return replace(entry.inputs.profile, **{name: value})
