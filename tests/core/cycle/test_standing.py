"""How everybody stands: sums over the ledger, and the indices that are published."""

from fractions import Fraction

import pytest

from scheduler.core.cycle.standing import jain_index, oversold_milli, stand
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.standing import Standing, Waiting
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.mix import Mix
from tests.core.cycle.rounds import plan_of
from tests.support.builders import device, node, place, pod, share, tenant


@pytest.mark.parametrize(
    ("parts", "index"),
    # (1 + 1)² ÷ (2·2) = 1; (2 + 0)² ÷ (2·4) = 1/2; (3 + 1)² ÷ (2·10) = 0.8.
    [([], 1.0), ([0, 0], 1.0), ([1, 1], 1.0), ([2, 0], 0.5), ([3, 1], 0.8)],
)
def test_jain(parts: list[int], index: float) -> None:
    assert jain_index([Fraction(part) for part in parts]) == index


def test_oversold_counts_the_worse_of_share_and_memory() -> None:
    ledger = Ledger([node("n1", 2)])
    assert oversold_milli(ledger.columns) == 0
    ledger.bind(pod("p", 1100), place("n1", (0, 1100, 16_000)))
    # 4,000 MiB too many are a quarter of the card.
    ledger.bind(pod("q", 100), place("n1", (1, 100, 20_000)))
    assert oversold_milli(ledger.columns) == 100 + 250


def standing(ledger: Ledger) -> Standing:
    tenants = [tenant("top", limit=3), tenant("a", "top", guarantee=1), tenant("b", "top")]
    pending = [pod("w", 500, "b"), pod("x", 500, "b")]
    waiting = [
        Waiting(each.uid, each.key, each.tenant, "0.5 GPU", 0.0, Verdict(Reason.NO_ROOM))
        for each in pending
    ]
    plan = plan_of(ledger, tenants, pending)
    return stand(
        ledger,
        TenantTree(tenants),
        plan=plan,
        lags={tenant("a").name: -7.0},
        waiting=waiting,
        mix=Mix([(share(500), 1)]),
        now=42.0,
    )


def test_a_standing_adds_up_tenants_and_devices() -> None:
    ill = device("n1/1", healthy=False, load=300, foreign_mib=5)
    ledger = Ledger([node("n1", [device("n1/0"), ill])])
    ledger.bind(pod("p", 600), place("n1", (0, 600, 9_600)))
    ledger.reserve(pod("q", 100, "b"), place("n1", (0, 100, 1_600)))
    now = standing(ledger)
    assert (now.at, now.free_milli, now.fragments.milli, now.oversold_milli) == (42.0, 300, 300, 0)
    top, a, b = now.tenants
    assert (top.allocated, a.allocated, b.allocated) == (
        Fraction(7, 10), Fraction(3, 5), Fraction(1, 10),
    )  # fmt: skip
    assert (top.pending_pods, top.running_pods, top.leaf) == (2, 2, False)
    assert (b.pending_pods, b.running_pods, b.demand) == (2, 1, Fraction(11, 10))
    assert (a.lag, b.lag, a.leaf) == (-7.0, 0.0, True)
    assert top.fair_share == a.fair_share + b.fair_share == 1
    # a has 0.6 of its 0.6, b 0.1 of its 0.4: (1 + 1/4)² ÷ (2·(1 + 1/16)) = 25/34.
    assert now.jain == pytest.approx(25 / 34)
    good, bad = now.devices
    assert [(s.pod, s.milli, s.bound) for s in good.slices] == [
        ("lab/p", 600, True), ("lab/q", 100, False),
    ]  # fmt: skip
    assert (bad.healthy, bad.load, bad.foreign_mib, bad.slices) == (False, 300, 5, ())
