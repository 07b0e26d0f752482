"""More than was promised: when it is told, when the pod goes, and when all is forgotten."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from scheduler.agent.overuse import Book, Held, Step, holdings, step
from scheduler.agent.pods import Guests
from scheduler.agent.reading import Reading
from scheduler.core.model.ids import DeviceUUID, PodUID
from scheduler.core.model.pods import PodRef
from scheduler.device.driver import DeviceUsage, ProcessUse
from scheduler.settings import Agent
from tests.agent.fakes import NODE, pod_json

SETTINGS = Agent(tolerance_mib=512, grace_seconds=60.0)
POD = PodRef("lab", "p", PodUID("p"))
FINE = Held(POD, DeviceUUID("GPU-0"), 4096, 4608)
OVER = replace(FINE, used_mib=4609)


def steps(
    held: Iterable[tuple[float, Held | None]], settings: Agent = SETTINGS
) -> list[tuple[float, str]]:
    """Return what is done when, of what is measured when."""
    book: Book = {}
    done: list[tuple[float, str]] = []
    for now, each in held:
        book, notices = step(book, [each] if each else [], now=now, settings=settings)
        done += [(now, notice.step.value) for notice in notices]
    return done


def every(
    seconds: float, until: float, held: Held, *, start: float = 0.0
) -> list[tuple[float, Held]]:
    count = int((until - start) // seconds) + 1
    return [(start + number * seconds, held) for number in range(count)]


def test_who_stays_within_promise_and_tolerance_is_never_told() -> None:
    assert steps(every(5, 600, FINE)) == []


def test_who_stays_over_it_is_told_once_after_the_grace() -> None:
    assert steps(every(5, 600, OVER)) == [(60, "tell")]


def test_who_allocates_just_what_was_promised_is_not_told_of_a_context_beside_it() -> None:
    # The largest seen: 518 MiB, of a plain process on an H200.
    assert steps(every(5, 600, replace(FINE, used_mib=4096 + 518)), Agent()) == []


def test_a_short_peak_is_nothing() -> None:
    assert steps([*every(5, 55, OVER), *every(5, 600, FINE, start=60)]) == []


def test_a_pod_at_the_edge_is_told_once() -> None:
    held = [(now, OVER if now // 5 % 2 else FINE) for now, _ in every(5, 900, FINE)]
    assert steps(held) == [(65, "tell")]


def test_who_was_fine_for_as_long_as_the_grace_begins_anew() -> None:
    held = [
        *every(5, 100, OVER),
        *every(5, 165, FINE, start=105),
        *every(5, 300, OVER, start=170),
    ]
    assert steps(held) == [(60, "tell"), (230, "tell")]


def test_a_pod_that_is_gone_is_forgotten() -> None:
    assert steps([*every(5, 55, OVER), (60, None), *every(5, 115, OVER, start=65)]) == []


def test_it_is_evicted_where_that_was_asked_for_and_again_if_that_was_refused() -> None:
    evicting = replace(SETTINGS, evict_seconds=120.0)
    assert steps(every(5, 250, OVER), evicting) == [
        (60, "tell"),
        (120, "evict"),
        (180, "evict"),
        (240, "evict"),
    ]


def test_a_pod_that_is_back_inside_is_not_evicted() -> None:
    evicting = replace(SETTINGS, evict_seconds=120.0)
    held = [*every(5, 110, OVER), *every(5, 400, FINE, start=115)]
    assert steps(held, evicting) == [(60, "tell")]


def test_a_pod_that_is_going_is_left_alone() -> None:
    evicting = replace(SETTINGS, evict_seconds=0.0)
    assert steps(every(5, 300, replace(OVER, ending=True)), evicting) == []


def test_each_device_of_a_pod_is_told_of_by_itself() -> None:
    other = replace(OVER, uuid=DeviceUUID("GPU-1"))
    book: Book = {}
    book, _ = step(book, [OVER], now=0, settings=SETTINGS)
    book, _ = step(book, [OVER, other], now=30, settings=SETTINGS)
    book, notices = step(book, [OVER, other], now=60, settings=SETTINGS)
    assert [(each.step, each.held.uuid) for each in notices] == [(Step.TELL, "GPU-0")]
    _, notices = step(book, [OVER, other], now=90, settings=SETTINGS)
    assert [(each.step, each.held.uuid) for each in notices] == [(Step.TELL, "GPU-1")]


@pytest.mark.parametrize(
    ("processes", "used"),
    [
        ((), 0),
        (((1, 3000), (2, 500)), 3500),
        (((1, 3000), (9, 9000)), 3000),
        (((1, None), (2, 500)), 500),
    ],
    ids=["idle", "two processes", "a stranger", "one of unknown size"],
)
def test_a_pod_holds_what_its_own_processes_hold(
    processes: tuple[tuple[int, int | None], ...], used: int
) -> None:
    guests = Guests(NODE)
    guests.replace([pod_json("p", ("GPU-0", 4096), ("GPU-1", 100))])
    listed = tuple(ProcessUse(pid, mib) for pid, mib in processes)
    owners = {1: PodUID("p"), 2: PodUID("p"), 9: PodUID("q")}
    reading = Reading(
        at=0.0,
        about="mock",
        records=(),
        usage=(DeviceUsage(DeviceUUID("GPU-0"), 12_500, 0, listed),),
        owners=owners,
    )
    (held,) = holdings(guests.by_uid.values(), reading)
    assert (held.uuid, held.promised_mib, held.used_mib) == ("GPU-0", 4096, used)
