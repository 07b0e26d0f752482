"""Members of gangs that are through with their work: who counts, and for how long."""

from dataclasses import replace

from scheduler.controller.gangbook import GangBook
from scheduler.core.ledger.holdings import Holding
from scheduler.core.model.gangs import Gang, Gathered
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod
from tests.support.builders import place, pod

NAME = "lab/train"


def member(name: str, owner: str) -> Pod:
    return replace(pod(name), gang=Gang(NAME, 3), owner=owner)


def test_who_was_seen_to_run_counts_as_long_as_anybody_of_the_gang_is_there() -> None:
    book = GangBook()
    book.finished(NAME, PodUID("p"), "job-1", seen=True)
    book.finished(NAME, PodUID("p"), "job-1", seen=True)
    waiting = [member("q", "job-2")]
    assert book.gathered({}, waiting, {}) == {NAME: Gathered(finished=1)}
    assert book.gathered({}, [], {}) == {}
    assert book.gathered({}, waiting, {}) == {}


def test_those_of_an_earlier_run_don_t_count_for_a_later_one() -> None:
    book = GangBook()
    book.finished(NAME, PodUID("p"), "job-1", seen=False)
    book.finished(NAME, PodUID("q"), "job-0", seen=False)
    late = member("r", "job-2")
    assert book.gathered({}, [late], {}) == {NAME: Gathered(finished=0)}
    runs = member("s", "job-1")
    placed = {NAME: Gathered(frozenset({runs.uid}))}
    holdings = {runs.uid: Holding(runs, place("n1"), bound=True)}
    book.finished(NAME, PodUID("p"), "job-1", seen=False)
    assert book.gathered(placed, [late], holdings)[NAME].finished == 1
