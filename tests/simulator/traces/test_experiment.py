"""Runs side by side, and what they are summed up to."""

from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.core.model.errors import InvalidFile
from scheduler.simulator.sidebyside import side_by_side
from scheduler.simulator.traces import report
from scheduler.simulator.traces.experiment import Run, Task, execute, loads_reported
from scheduler.simulator.traces.published import read_published
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.tracefile import find_traces, read_trace

TRACES = find_traces(None, {})
needs_traces = pytest.mark.skipif(
    TRACES is None,
    reason="the openb traces are not in ../shared/traces; docs/guides/simulate.md says where "
    "to get them",
)


def run(**changes: object) -> Run:
    base = Run("default", "fgd", 42, {100: 95.0, 130: 95.5}, 100, 80, 0.5)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_what_a_run_yields_does_not_depend_on_the_number_of_processes() -> None:
    trace = synthetic_trace()
    tasks = [
        Task(trace, policy, seed, 130, curve=True, placements=True)
        for policy in ("fgd", "random")
        for seed in (1, 2)
    ]
    alone, beside = (
        [
            replace(done, seconds=0.0)
            for _, done in sorted(side_by_side(execute, tasks, jobs=jobs), key=first)
        ]
        for jobs in (1, 2)
    )
    assert alone == beside
    assert [done.seed for done in alone] == [1, 2, 1, 2]


def first(numbered: tuple[int, Run]) -> int:
    return numbered[0]


def test_the_synthetic_workload_is_small_and_tells_the_policies_apart() -> None:
    trace = synthetic_trace()
    assert len(trace.nodes) == 120
    tasks = [Task(trace, policy, 42, 130) for policy in ("fgd", "best-fit", "spread")]
    fgd, best_fit, spread = (
        done.allocation[130] for _, done in side_by_side(execute, tasks, jobs=1)
    )
    assert fgd is not None
    assert best_fit is not None
    assert spread is not None
    assert fgd > best_fit > spread


@needs_traces
@pytest.mark.parametrize("policy", ["fgd", "best-fit"])
def test_the_default_trace_gives_the_published_allocation(policy: str) -> None:
    assert TRACES is not None
    trace = read_trace(TRACES, "default")
    tasks = [Task(trace, policy, seed, 130) for seed in (42, 43, 44)]
    runs = [done for _, done in side_by_side(execute, tasks, jobs=1)]
    (summary,) = report.summarise(runs, read_published(TRACES))
    assert set(summary.allocation) <= set(summary.published)
    for load, figure in summary.allocation.items():
        assert figure is not None
        assert figure[0] == pytest.approx(summary.published[load], abs=0.3)


@pytest.mark.parametrize(("load", "loads"), [(130, [100, 130]), (100, [100]), (90, [90])])
def test_allocation_is_reported_at_100_percent_and_at_the_end(load: int, loads: list[int]) -> None:
    assert loads_reported(load) == loads


def test_a_table_has_a_block_for_each_trace_and_the_best_policy_on_top() -> None:
    runs = [
        run(policy="best-fit", allocation={100: 92.0, 130: 92.5}),
        run(),
        run(seed=43, allocation={100: 96.0, 130: 97.5}),
        run(trace="other", allocation={100: None, 130: 70.0}),
    ]
    published = {("default", "fgd"): {100: 95.227, 130: 95.391}}
    text = report.table(report.summarise(runs, published), load=130)
    default, other = text.split("\n\n")
    lines = [" ".join(line.split()) for line in default.splitlines()]
    assert lines[0] == "default"
    assert lines[2] == "fgd 95.50 ± 0.71 95.23 96.50 ± 1.41 95.39 20 160"
    assert lines[3] == "best-fit 92.00 – 92.50 – 20 160"
    assert " ".join(other.splitlines()[-1].split()) == "fgd – 70.00 20 160"
    assert "published" not in other


def test_json_says_what_each_run_came_to() -> None:
    curve = ((0, 0.0, 14.0), (1, 1.0, 13.0))
    told = report.document([run(curve=curve)], {"load": 130}, curve=True)
    assert told == {
        "runs": [
            {
                "trace": "default",
                "policy": "fgd",
                "seed": 42,
                "allocation": {"100": 95.0, "130": 95.5},
                "arrived_pods": 100,
                "placed_pods": 80,
                "failed_pods": 20,
                "seconds": 0.5,
                "placements_per_second": 160.0,
                "curve": [[0, 0.0, 14.0], [1, 1.0, 13.0]],
            }
        ],
        "settings": {"load": 130},
    }


def test_published_figures_are_found_by_our_names_of_the_policies(tmp_path: Path) -> None:
    assert read_published(tmp_path) == {}
    assert read_published(None) == {}
    (tmp_path / "published.csv").write_text(
        "trace,policy,seeds,alloc_at_100,alloc_at_130,alloc_at_100_std\n"
        "default,BestFit,10,92.862,93.076,0.144\n"
    )
    assert read_published(tmp_path) == {("default", "best-fit"): {100: 92.862, 130: 93.076}}


def test_a_published_figure_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("trace,policy,alloc_at_100\ndefault,FGD,much\n")
    with pytest.raises(InvalidFile, match=r'csv:2: alloc_at_100: "much" is not a number'):
        read_published(tmp_path)
