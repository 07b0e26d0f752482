"""What the report adds up."""

import pytest

from scheduler.core.model.ids import TenantName
from scheduler.simulator.demoreport import (
    Audit,
    Latency,
    Recorder,
    Report,
    TenantLine,
    jain_of_service,
    mean,
    middle,
)

A = TenantName("a")


def line(due: float, got: float) -> TenantLine:
    return TenantLine(A, 1.0, due, got, 0, 0, None, None)


@pytest.mark.parametrize(
    ("due", "got", "ratio"), [(4.0, 3.0, 0.75), (4.0, 0.0, 0.0), (0.0, 3.0, None), (0.0, 0.0, None)]
)
def test_the_ratio_is_that_to_what_was_due_if_anything_was(
    due: float, got: float, ratio: float | None
) -> None:
    assert line(due, got).ratio == ratio


def test_jain_is_over_those_who_were_due_something() -> None:
    assert jain_of_service([]) == 1.0
    assert jain_of_service([line(0.0, 5.0)]) == 1.0
    # (1 + 0)² ÷ (2 · 1) = 1/2
    assert jain_of_service([line(2.0, 2.0), line(2.0, 0.0), line(0.0, 9.0)]) == 0.5


def test_a_recorder_keeps_the_worst_moment_and_every_wait() -> None:
    recorder = Recorder()
    recorder.wait(A, 3.0)
    recorder.wait(A, 1.0)
    for oversold in (0.0, 0.25, 0.0):
        recorder.sample(allocated=2.0, fragmented=0.5, oversold=oversold)
    assert recorder.waits == {A: [3.0, 1.0]}
    assert recorder.oversold == 0.25
    assert (mean(recorder.allocated), mean(recorder.fragmented)) == (2.0, 0.5)


def test_latencies_are_in_milliseconds_whatever_the_order_of_calls() -> None:
    recorder = Recorder()
    for number in reversed(range(1, 101)):
        recorder.request("filter", number / 1000)
    latency = recorder.latency("filter")
    assert latency.calls == 100
    assert latency.p50 == pytest.approx(51.0)
    assert latency.p99 == pytest.approx(100.0)
    assert recorder.latency("bind") == Latency(0, None, None)


def test_nothing_has_no_mean_worth_a_word_and_no_middle() -> None:
    assert (mean([]), middle([])) == (0.0, None)
    assert middle([3.0, 1.0, 2.0, 10.0]) == 2.5


def report(oversold: float = 0.0) -> Report:
    return Report(1.0, 20.0, (), 1.0, 0.0, 0.0, oversold, 0, 0, 0, {})


@pytest.mark.parametrize(
    ("ours", "theirs", "problems", "worst", "sound"),
    [
        (0.0, 0.0, (), 0.0, True),
        (0.5, 0.0, (), 0.5, False),
        (0.0, 0.25, ("a card was oversold",), 0.25, False),
        (0.5, 0.25, (), 0.5, False),
        (0.0, 0.0, ("p was bound without an assignment",), 0.0, False),
    ],
)
def test_the_worse_of_two_counts_is_what_counts(
    ours: float, theirs: float, problems: tuple[str, ...], worst: float, sound: bool
) -> None:
    audited = report(ours).audited(Audit(3, theirs, problems))
    assert (audited.oversold_gpus, audited.sound) == (worst, sound)


def test_without_an_auditor_the_ledger_alone_says_whether_it_is_sound() -> None:
    assert (report().sound, report(0.1).sound) == (True, False)
