"""Nobody waits longer than was said: the bound of the page, over random workloads."""

import math
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.fairness.bound import Contender, wait_by_turns
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.turns.workloads import Workload, nodes, sixty
from scheduler.simulator.turns.world import World


class Watched(World):
    """Notes of each next request since when it was that, and by when it was told to start.

    It is told anew after every round; what was said once has to be kept.
    """

    def __init__(self, workload: Workload, longest: float, horizon: float, seed: int) -> None:
        super().__init__(workload, Profile("best-fit", horizon=horizon), Random(seed))
        self.longest = longest
        self.told: dict[TenantName, tuple[PodUID, float, float]] = {}
        self.waits: list[tuple[float, float]] = []

    def _round(self) -> None:
        super()._round()
        first = {}
        for pod in sorted(self.waiting, key=lambda pod: pod.turn, reverse=True):
            first[pod.tenant] = pod.uid
        for leaf, uid in first.items():
            before, since, by = self.told.get(leaf, (uid, self.now, math.inf))
            if before != uid:
                self.waits.append((self.now - since, by - since))
                since, by = self.now, math.inf
            self.told[leaf] = uid, since, min(by, self.now + self.bound(leaf))

    def bound(self, leaf: TenantName) -> float:
        held = {name: each.milli / MILLI for name, each in self.ledger.held.items()}
        contenders = {
            name: Contender(
                float(self.shares[name]), held.get(name, 0.0), self.lags.values.get(name, 0.0), 1.0
            )
            for name in self.tree.leaves
        }
        gpus = sum(len(node.devices) for node in self.workload.nodes)
        return wait_by_turns(
            leaf, contenders, gpus=gpus, longest=self.longest, horizon=self.profile.horizon
        )


@st.composite
def workloads(draw: st.DrawFn) -> tuple[Workload, float]:
    """Endless jobs of one card that last for D seconds at most, of a few tenants."""
    longest = draw(st.sampled_from([30.0, 120.0, 600.0]))
    weights = draw(st.lists(st.integers(1, 50), min_size=2, max_size=6))
    tenants = tuple(
        Tenant(TenantName(f"t{number}"), weight=Fraction(weight), created=float(number))
        for number, weight in enumerate(weights)
    )
    kinds = {
        each.name: draw(st.sampled_from(["all alike", "any", "short or long"])) for each in tenants
    }

    def maker(kind: str, dice: Random) -> tuple[float, float]:
        if kind == "all alike":
            return 1.0, longest
        if kind == "any":
            return 1.0, dice.uniform(1.0, longest)
        return 1.0, dice.choice([1.0, longest])

    endless = {name: (lambda dice, kind=kind: maker(kind, dice)) for name, kind in kinds.items()}
    machines = nodes(*draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    return Workload("any", 40 * longest, machines, tenants, endless), longest


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_nobody_waits_longer_than_it_was_told(data: st.DataObject) -> None:
    workload, longest = data.draw(workloads())
    horizon = data.draw(st.sampled_from([30.0, 120.0, 600.0]))
    watched = Watched(workload, longest, horizon, data.draw(st.integers(0, 99)))
    watched.run()
    assert watched.waits
    for waited, told in watched.waits:
        assert waited <= told + 1e-6


def test_the_bound_is_not_far_from_what_happens() -> None:
    watched = Watched(sixty(7200.0), 60.0, 120.0, seed=1)
    watched.run()
    worst = max(waited for waited, _ in watched.waits)
    assert worst == 600.0
    # Once its last job has ended a small one knows it to within three minutes.
    assert max(told for _, told in watched.waits) <= worst + 180.0
