"""What an autoscaler should add: work that is due, and that no present node can take."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.plans import Lack
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.rounds import backlog, carry_out, plan_of
from tests.support.builders import by_memory, node, pod, share, tenant, whole

A, B = tenant("a"), tenant("b")
TWO = [node("n1", 2)]


def _never(cards: int, milli: int, *models: str) -> Lack:
    return Lack(Reason.NEVER_FITS, models, cards, milli)


def _full(cards: int, milli: int, *models: str) -> Lack:
    return Lack(Reason.NO_ROOM, models, cards, milli)


@pytest.mark.parametrize(
    ("waiting", "lacks"),
    [
        ([pod("p", whole(2))], []),
        ([pod("p", whole(4))], [_never(4, 4000)]),
        ([pod("p", whole(4)), pod("q", whole(4))], [_never(4, 8000)]),
        ([pod("p", whole(4)), pod("q", whole(8))], [_never(4, 4000), _never(8, 8000)]),
        ([pod("p", replace(share(500), models=("H100",)))], [_never(1, 500, "H100")]),
        ([pod("p", by_memory(10**6))], [_never(1, 1000)]),
        ([pod("p", whole(2), "nobody")], []),
    ],
)
def test_what_never_fits_is_summed_up_by_shape(waiting: Sequence[Pod], lacks: list[Lack]) -> None:
    assert list(plan_of(TWO, [A], waiting).lacks) == lacks


def test_a_cluster_that_begins_without_a_node_says_what_it_needs() -> None:
    assert plan_of([], [A], backlog("a", 3)).lacks == (_never(1, 3000),)


@pytest.mark.parametrize(
    ("tenants", "changes", "milli"),
    [
        ([tenant("a", limit=Fraction(5))], {}, 5000),
        ([A], {"preemptible": False}, 0),
        ([tenant("a", guarantee=Fraction(2))], {"preemptible": False}, 2000),
    ],
)
def test_what_never_fits_counts_as_far_as_caps_go(
    tenants: list[Tenant], changes: dict[str, Any], milli: int
) -> None:
    lacks = plan_of([], tenants, backlog("a", 9, **changes)).lacks
    assert sum(lack.milli for lack in lacks) == milli


def test_what_has_no_room_counts_as_far_as_the_share_goes() -> None:
    ledger = Ledger(TWO)
    carry_out(ledger, plan_of(ledger, [A, B], backlog("a", 2)))
    # a holds both GPUs; b is due one of them, however many wait.
    assert plan_of(ledger, [A, B], backlog("b", 5)).lacks == (_full(1, 1000),)


def test_room_in_pieces_lacks_a_whole_card() -> None:
    ledger = Ledger(TWO)
    halves = [pod("p", share(600), "b"), pod("q", share(600), "b")]
    carry_out(ledger, plan_of(ledger, [B], halves))
    assert plan_of(ledger, [A, B], [pod("r", whole(1), "a")]).lacks == (_full(1, 1000),)


def test_who_waits_for_its_turn_lacks_nothing() -> None:
    plan = plan_of(TWO, [A, B], [*backlog("a", 4), *backlog("b", 4)])
    assert len(plan.admits) == 2
    assert plan.lacks == ()
