"""Long lists are taken in slice by slice, in order, and others have their turn."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scheduler.controller import intake
from scheduler.controller.intake import Intake

JSON = dict[str, Any]


class Slow:
    """A feed that notes what it is told; a listed pod takes a while, and one is too much."""

    def __init__(self, too_much: str = "") -> None:
        self.known: list[str] = []
        self.too_much = too_much

    def replacing(self, pods: Any) -> Iterator[None]:
        for pod in pods:
            self.see("LISTED", pod)
            yield

    def see(self, event: str, pod: Mapping[str, Any]) -> None:
        if pod["name"] == self.too_much:
            raise RuntimeError("a bug")
        end = asyncio.get_running_loop().time() + intake.SLICE_SECONDS / 3
        while asyncio.get_running_loop().time() < end:
            pass
        self.known.append(f"{event} {pod['name']}")


def made(slow: Slow) -> Intake:
    return Intake(slow)


def named(*names: object) -> list[JSON]:
    return [{"name": str(name)} for name in names]


async def test_a_list_is_taken_in_in_slices_and_what_comes_meanwhile_after_it() -> None:
    slow = Slow()
    door = made(slow)
    door.replace(named(*range(20)))
    assert (door.in_step, slow.known) == (False, [])
    turns = 0
    while len(slow.known) < 5:
        await asyncio.sleep(0)
        turns += 1
    door.see("DELETED", {"name": "3"})
    door.see("ADDED", {"name": "new"})
    assert turns > 1
    await door.told()
    assert door.in_step
    listed = [f"LISTED {number}" for number in range(20)]
    assert slow.known == [*listed, "DELETED 3", "ADDED new"]


async def test_in_step_news_is_taken_in_at_once() -> None:
    slow = Slow()
    door = made(slow)
    await door.told()
    door.see("ADDED", {"name": "p"})
    assert (door.in_step, slow.known) == (True, ["ADDED p"])


async def test_a_second_list_comes_after_the_first() -> None:
    slow = Slow()
    door = made(slow)
    door.replace(named("p"))
    door.replace(named("q"))
    await door.told()
    assert slow.known == ["LISTED p", "LISTED q"]


async def test_who_missed_something_is_told_nothing_more() -> None:
    slow = Slow(too_much="1")
    door = made(slow)
    door.replace(named(0, 1, 2))
    door.see("ADDED", {"name": "new"})
    with pytest.raises(RuntimeError, match="a bug"):
        await door.told()
    assert not door.in_step
    with pytest.raises(RuntimeError, match="a bug"):
        door.see("ADDED", {"name": "p"})
    with pytest.raises(RuntimeError, match="a bug"):
        door.replace([])
    assert slow.known == ["LISTED 0"]
