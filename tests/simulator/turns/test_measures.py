"""Waits at the head of a line, windows, and what is said of groups of tenants."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.turns.groups import Spread, by_name, look
from scheduler.simulator.turns.line import Line
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.windows import Windows

A, B = TenantName("a-0"), TenantName("a-1")


def pod(uid: str, tenant: TenantName = A, *, priority: int = 0) -> Pod:
    return Pod(PodUID(uid), tenant, uid, tenant, Request(), priority=priority)


def test_a_line_has_each_tenants_next_one_first_and_says_who_passed_it() -> None:
    line = Line()
    for each in (pod("2"), pod("1"), pod("9", priority=1), pod("5", B)):
        line.add(each)
    assert {each.uid for each in line.next_ones()} == {"9", "5"}
    assert [each.uid for each in line] == ["9", "1", "2", "5"]
    assert line.remove(PodUID("1")) is False
    assert line.remove(PodUID("9")) is True
    assert {each.uid for each in line.next_ones()} == {"2", "5"}
    assert line.remove(PodUID("5"))
    assert [each.uid for each in line.next_ones()] == ["2"]
    assert len(line) == 1


def test_a_wait_counts_from_when_a_request_is_next_and_not_for_who_passes_it() -> None:
    measures = Measures(TenantTree([Tenant(A)]))
    measures.heads(10.0, [pod("1")])
    measures.heads(15.0, [pod("1")])
    measures.started(20.0, pod("2"), was_next=False)
    measures.started(25.0, pod("1"), was_next=True)
    measures.started(25.0, pod("3"), was_next=True)
    assert measures.waits[A] == [15.0, 0.0]
    measures.heads(25.0, [pod("4")])
    measures.heads(125.0, [pod("4")])
    assert (measures.worst[A], measures.starts) == (100.0, 3)


def test_time_falls_into_its_windows_and_jain_is_told_for_each() -> None:
    windows = Windows(10.0)
    windows.passed(0.0, 10.0, {A: 1.0, B: 1.0}, {A: 1.0, B: 1.0})
    windows.passed(10.0, 25.0, {A: 2.0, B: 0.0}, {A: 1.0, B: 1.0})
    assert windows.got == [{A: 10, B: 10}, {A: 20, B: 0}, {A: 10, B: 0}]
    # One of two has everything: 1/2.
    assert windows.jain() == pytest.approx([1.0, 0.5, 0.5])


def test_who_is_due_nothing_in_a_window_does_not_count_there() -> None:
    windows = Windows(10.0)
    windows.passed(0.0, 10.0, {A: 1.0, B: 3.0}, {A: 1.0, B: 0.0})
    assert windows.jain() == [1.0]


def test_groups_are_summed_up_and_what_was_not_measured_is_not_a_number() -> None:
    measures = Measures(TenantTree([Tenant(A), Tenant(B)]))
    measures.got, measures.due_delivered = {A: 30.0, B: 5.0}, {A: 20.0, B: 0.0}
    measures.waits, measures.worst = {A: [1.0, 3.0]}, {A: 7.0, B: 9.0}
    (group,) = look(measures, by_name([A, B]))
    assert (group.name, group.tenants, group.got) == ("a", 2, 35.0)
    assert group.served == Spread(1.5, 1.5, 1.5)
    assert (group.median_wait, group.worst_wait) == (2.0, 9.0)
    assert math.isnan(look(measures, {"b": [B]})[0].served.middle)
    assert math.isnan(look(measures, {"b": [B]})[0].median_wait)


def test_what_is_lost_is_not_useful_and_what_comes_sooner_counts_for_longer() -> None:
    measures, due = Measures(TenantTree([Tenant(A)])), {A: Fraction(1)}
    measures.passed(10.0, shares=due, held={A: Fraction(2)}, now=10.0)
    assert (measures.useful(A), measures.area[A]) == (20.0, 100.0)
    measures.stopped(A, 2.0, 5.0)
    assert (measures.useful(A), measures.lost, measures.lost_by) == (10.0, 10.0, {A: 10.0})
    measures.passed(10.0, shares=due, held={}, now=20.0)
    assert (measures.useful(A), measures.area[A]) == (10.0, 200.0)


def test_a_delay_is_what_a_job_was_there_for_beyond_its_run() -> None:
    measures = Measures(TenantTree([Tenant(A)]))
    measures.ended(100.0, replace(pod("1"), created=30.0), ran=50.0)
    assert measures.delays == {A: [20.0]}
