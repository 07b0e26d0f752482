"""Whatever pods and the object that they are of do: who is of which gang follows from both."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.model import podstate
from scheduler.core.model.gangshapes import Part, Shape
from scheduler.core.model.ids import PodUID
from tests.controller.feeding import World, bound, gated
from tests.controller.test_feed_gangs import Objects, of_job
from tests.support.builders import place

JSON = dict[str, Any]

UIDS = [f"p{number}" for number in range(4)]
SAYS = st.sampled_from(
    [
        "nobody knows",
        "there is none",
        *(Shape((Part("", pods),)) for pods in (1, 2, 4)),
        Shape((Part("", 2),), apart=True),
        Shape((), together=False),
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("says"), SAYS),
    st.tuples(st.sampled_from(["wait", "run", "succeed", "fail", "delete"]), st.sampled_from(UIDS)),
    st.tuples(st.just("list"), st.sets(st.sampled_from(UIDS))),
)


class History:
    """Pods as they are stored, and a feed that was told of all that became of them."""

    def __init__(self) -> None:
        self.objects, self.stored = Objects(), dict[str, JSON]()
        self.world = World(gangs=self.objects)

    def step(self, what: str, which: Any) -> None:
        if what == "says":
            self.objects.says = which
            self.world.feed.retell_gangs(list(self.objects.noted))
        elif what == "list":
            self.stored = {uid: pod for uid, pod in self.stored.items() if uid in which}
            self.world.feed.replace(list(self.stored.values()))
        else:
            self._pod(what, which)

    def _pod(self, what: str, uid: str) -> None:
        now = self.stored.get(uid)
        if what == "delete":
            if self.stored.pop(uid, None) is not None and now is not None:
                self.world.see(now, event="DELETED")
            return
        runs = now is not None and "nodeName" in now["spec"]
        ended = now is not None and podstate.finished(now)
        if (what == "wait" and now is not None) or (what == "run" and runs):
            return
        if what in ("succeed", "fail") and (not runs or ended):
            return
        if what == "wait":
            now = of_job(gated(uid))
        elif what == "run":
            index = UIDS.index(uid)
            now = of_job(bound(uid, "n1", place("n1", (index // 2, 500, 8_000))))
        else:
            assert now is not None
            now = {**now, "status": {"phase": {"succeed": "Succeeded", "fail": "Failed"}[what]}}
        self.stored[uid] = now
        self.world.see(now)

    @property
    def alive(self) -> dict[str, JSON]:
        return {uid: pod for uid, pod in self.stored.items() if not podstate.finished(pod)}


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_gangs_are_what_pods_and_object_say_now(steps: list[tuple[str, Any]]) -> None:
    history = History()
    for step in steps:
        history.step(*step)
    history.step("says", Shape((Part("", 3),)))
    controller, ledger = history.world.controller, history.world.ledger
    waiting = {uid: pod for uid, pod in history.alive.items() if "nodeName" not in pod["spec"]}
    assert controller.queue.pods.keys() == waiting.keys()
    assert {pod.gang for pod in controller.queue.pods.values()} <= {
        history.objects.gang_of(pod) for pod in waiting.values()
    }
    # Who runs is of the same gang, which may have been smaller than it is now.
    for uid, holding in ledger.holdings.items():
        says = history.objects.gang_of(history.alive[uid])
        assert says is not None
        assert holding.pod.gang is not None
        assert (holding.pod.gang.name, holding.pod.gang.unknown) == (says.name, "")
        assert 1 <= holding.pod.gang.size <= says.size
    gathered = ledger.snapshot().gathered
    assert {uid for each in gathered.values() for uid in each.placed} == set(ledger.holdings)
    assert set(history.objects.noted) == {PodUID(uid) for uid in history.alive}
