"""Limits and guarantees hold at every level of the tree."""

from fractions import Fraction

import pytest

from scheduler.core.fairness.limits import over_guarantee, over_limit
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from tests.core.fairness.trees import tenant

TOP, TEAM, OTHER = TenantName("top"), TenantName("team"), TenantName("other")


@pytest.mark.parametrize(
    ("top", "team", "held", "milli", "over"),
    [
        (None, None, 9000, 1000, None),
        (None, "2", 1500, 500, None),
        (None, "2", 1500, 501, TEAM),
        ("4", "2", 1000, 2000, TOP),
        ("4", "0", 0, 1, TEAM),
        ("4", "0", 0, 0, None),
        ("4", "5/2", 500, 1500, None),
        ("1/3", "1", 0, 334, TOP),
    ],
)
def test_a_limit_stops_what_would_pass_it_anywhere_on_the_path(
    top: str | None, team: str | None, held: int, milli: int, over: TenantName | None
) -> None:
    tree = TenantTree(
        [
            tenant("top", limit=top and Fraction(top)),
            tenant("team", "top", limit=team and Fraction(team)),
            tenant("other", "top"),
        ]
    )
    totals = tree.roll_up({TEAM: held, OTHER: 2000}, 0)
    assert over_limit(tree, totals, leaf=TEAM, milli=milli) == over


@pytest.mark.parametrize(
    ("top", "team", "milli", "over"),
    [
        ("3", "2", 1500, None),
        ("3", "2", 1501, TEAM),
        ("2", "2", 1501, TOP),
        ("0", "2", 500, TOP),
        ("3", "0", 500, TEAM),
    ],
)
def test_pods_that_cannot_be_stopped_fit_inside_the_guarantee_at_every_level(
    top: str, team: str, milli: int, over: TenantName | None
) -> None:
    tree = TenantTree(
        [
            tenant("top", guarantee=Fraction(top)),
            tenant("team", "top", guarantee=Fraction(team)),
            tenant("other", "top"),
        ]
    )
    fixed = tree.roll_up({TEAM: 500}, 0)
    assert over_guarantee(tree, fixed, leaf=TEAM, milli=milli) == over
