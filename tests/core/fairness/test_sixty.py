"""One tenant of weight 90 and ten of weight 1, all with endless one-minute jobs, on ten cards."""

from fractions import Fraction

import pytest

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from tests.core.fairness.endless import Service, run
from tests.core.fairness.trees import tenant

JOB = 60
TREE = TenantTree(
    [
        tenant("large", weight=Fraction(90)),
        *(tenant(f"small{i}", created=1.0 + i) for i in range(10)),
    ]
)


def serve(hours: int) -> Service:
    return run(TREE, cards=10, job_seconds=JOB, seconds=hours * 3600)


@pytest.fixture(scope="module")
def day() -> Service:
    return serve(24)


@pytest.mark.parametrize("hours", [1, 2, 5])
def test_after_hours_nobody_is_more_than_a_few_jobs_from_its_due(hours: int) -> None:
    service = serve(hours)
    for leaf in TREE.leaves:
        # The large one lags behind by what up to ten small ones were given ahead of time.
        allowed = JOB * (10 if leaf == "large" else 1)
        assert abs(service.got[leaf] - service.due[leaf]) <= allowed + 1e-6


@pytest.mark.parametrize("leaf", TREE.leaves)
def test_after_a_day_everybody_has_its_due(leaf: TenantName, day: Service) -> None:
    assert 0.98 <= day.got[leaf] / day.due[leaf] <= 1.02


def test_a_small_tenant_waits_ten_minutes_between_two_starts_at_most_twelve(day: Service) -> None:
    assert all(300 <= day.gap[leaf] <= 720 for leaf in TREE.leaves if leaf != "large")
