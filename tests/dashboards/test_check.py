"""The harness: which metrics a query names, what variables become, and what counts as wrong."""

import pytest

from hack.dashboards.check import Finding, metrics_of, report, window
from hack.dashboards.fairness import BOARD
from hack.dashboards.prometheus import Window


@pytest.mark.parametrize(
    ("expr", "metrics"),
    [
        ("sum(equipoise_acts)", ["equipoise_acts"]),
        (
            'rate(equipoise_cycle_seconds_count{phase="allocate"}[5m])',
            ["equipoise_cycle_seconds_count"],
        ),
        ('a{name=~"[a-z]+[.]equipoise_not[.]dev"}', []),
        ("tenant:equipoise_got_of_due:ratio < 0.8", ["tenant:equipoise_got_of_due:ratio"]),
        (
            "equipoise_acts and on (instance) process_cpu_seconds_total",
            ["equipoise_acts", "process_cpu_seconds_total"],
        ),
    ],
)
def test_metrics_that_a_query_names(expr: str, metrics: list[str]) -> None:
    assert metrics_of(expr) == metrics


def test_no_variable_is_left_in_a_query() -> None:
    during = window(minutes=15.0, at=1000.0)
    assert (during.start, during.end, during.step) == (100.0, 1000.0, 15.0)
    for panel in BOARD.panels:
        for query in panel.queries:
            assert "$" not in during.fill(query.expr)


def test_a_rate_is_over_more_than_a_point_or_two() -> None:
    assert Window(0.0, 60.0, 1.0).fill("[$__rate_interval]") == "[20s]"
    assert Window(0.0, 3600.0, 60.0).fill("[$__rate_interval]") == "[240s]"


@pytest.mark.parametrize(
    ("finding", "lenient", "strict"),
    [
        (Finding("a", 1), True, True),
        (Finding("a", 0, "returns nothing", "nobody waits"), True, False),
        (Finding("a", 0, "returns nothing"), False, False),
    ],
)
def test_silence_is_wrong_unless_the_panel_says_when_it_is_right(
    finding: Finding, lenient: bool, strict: bool
) -> None:
    assert report([finding], strict=False) is lenient
    assert report([finding], strict=True) is strict
