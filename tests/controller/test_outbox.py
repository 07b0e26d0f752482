"""Work beside the rounds: its order, how much at once, and how it ends."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from scheduler.controller.outbox import Outbox

Work = Callable[[], Coroutine[Any, Any, None]]


def counting(most: list[int], begun: list[int]) -> Callable[[int], Work]:
    running = 0

    async def work(number: int) -> None:
        nonlocal running
        begun.append(number)
        running += 1
        most.append(running)
        for _ in range(3 + number % 3):
            await asyncio.sleep(0)
        running -= 1

    return lambda number: partial(work, number)


async def test_work_begins_in_order_and_only_so_much_at_once() -> None:
    begun: list[int] = []
    most: list[int] = []
    outbox, make = Outbox(4, "test"), counting(most, begun)
    for number in range(20):
        outbox.put(make(number))
    await outbox.idle()
    assert begun == list(range(20))
    assert max(most) == 4


async def test_what_is_put_in_meanwhile_is_waited_for_too() -> None:
    outbox, done = Outbox(1, "test"), list[str]()

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        outbox.put(second)
        done.append("first")

    outbox.put(first)
    await outbox.idle()
    assert done == ["first", "second"]


async def test_it_ends_at_once_whatever_is_under_way_or_waits() -> None:
    outbox, begun = Outbox(1, "test"), list[int]()

    async def for_ever(number: int) -> None:
        begun.append(number)
        await asyncio.Event().wait()

    for number in range(3):
        outbox.put(partial(for_ever, number))
    await asyncio.sleep(0)
    await outbox.aclose()
    await outbox.idle()
    assert begun == [0]


async def test_work_that_fails_is_told_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    outbox, done = Outbox(1, "test"), list[int]()

    async def fails() -> None:
        raise RuntimeError("a bug")

    async def works() -> None:
        done.append(1)

    outbox.put(fails)
    outbox.put(works)
    with caplog.at_level(logging.ERROR):
        await outbox.idle()
    assert done == [1]
    assert [record.getMessage() for record in caplog.records] == ["test failed"]
