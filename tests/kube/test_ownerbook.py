"""Objects that say how many pods start together: looked up while there are pods of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from scheduler.cli.running import running
from scheduler.clock import SystemClock
from scheduler.core.model import names
from scheduler.core.model.gangowners import ObjectRef, Owners
from scheduler.core.model.gangs import Gang
from scheduler.core.model.ids import PodUID
from scheduler.kube.client import Client
from scheduler.kube.errors import Unreachable, api_error
from scheduler.kube.ownerbook import OwnerBook, Read, reading
from scheduler.kube.resources import Resource
from scheduler.simulator import virtualtime
from tests.support.apiserver.server import FakeApi

JSON = dict[str, Any]

JOBS = "/apis/batch/v1/namespaces/lab/jobs/"
FORBIDDEN = api_error(403, b'{"message": "no", "reason": "Forbidden"}', {})
MISSING = api_error(404, b'{"message": "no", "reason": "NotFound"}', {})
AWAY = Unreachable("no answer")


def job(parallelism: object, uid: str = "u") -> JSON:
    return {"metadata": {"uid": uid}, "spec": {"parallelism": parallelism}}


def pod(owner: str = "train", uid: str = "u", size: str = "all") -> JSON:
    made_by = {"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": uid}
    return {
        "metadata": {
            "namespace": "lab",
            "annotations": {names.GANG_SIZE: size},
            "ownerReferences": [{**made_by, "controller": True}],
        }
    }


@dataclass
class Cluster:
    """Objects by name, an error instead of one that can't be read; what was asked for, and told."""

    objects: dict[str, JSON | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    moved: list[set[str]] = field(default_factory=list)

    @asynccontextmanager
    async def book(self, seconds: float = 60.0) -> AsyncIterator[OwnerBook]:
        book = OwnerBook(
            *(Owners(), self._read()), moved=self._moved, clock=SystemClock(), seconds=seconds
        )
        async with running(book.run()):
            yield book

    def _read(self) -> Read:
        async def read(ref: object) -> JSON:
            name = str(ref).removeprefix("Job ")
            self.asked.append(name)
            await asyncio.sleep(0)
            found = self.objects.get(name, MISSING)
            if isinstance(found, Exception):
                raise found
            return found

        return read

    def _moved(self, uids: Collection[PodUID]) -> None:
        self.moved.append(set(uids))


def note(book: OwnerBook, uid: str, stored: JSON) -> None:
    book.note(PodUID(uid), stored)


async def test_an_object_is_asked_for_once_however_many_pods_are_of_it() -> None:
    cluster = Cluster({"train": job(3)})
    async with cluster.book() as book:
        for number in range(3):
            note(book, f"p{number}", pod())
        unread = book.gang(PodUID("p0"))
        assert unread == Gang("lab/Job:train/u", 0, unknown="Job train is being read; wait")
        await book.told()
        assert (
            book.gang_of(pod()) == book.gang(PodUID("p2")) == Gang("lab/Job:train/u", 3, once=True)
        )
    assert cluster.asked == ["train"]
    assert cluster.moved == [{"p0", "p1", "p2"}]


async def test_nothing_is_asked_for_of_pods_that_are_of_no_object() -> None:
    cluster = Cluster()
    async with cluster.book() as book:
        alone: JSON = {"metadata": {"annotations": {}}}
        named = {"metadata": {"annotations": {names.GANG: "g", names.GANG_SIZE: "2"}}}
        wrong = {"metadata": {"annotations": {names.GANG_SIZE: "2"}}}
        for each in (alone, named, wrong):
            note(book, "p", each)
            assert book.gang(PodUID("p")) is None
        assert book.gang_of(named) == Gang("/g", 2)
        # Nor of one that is only looked at, as a pod is that is being created.
        assert book.gang_of(pod()) is not None
        await book.told()
        await asyncio.sleep(0)
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (MISSING, "there is no Job train in lab; create it"),
        (job(3, uid="other"), "there is no Job train in lab; create it"),
        (
            FORBIDDEN,
            "this account may not read jobs of batch/v1, and Job train says how large it is",
        ),
        (AWAY, "Job train can't be read now; wait"),
        (job("many"), "Job train says 'many' for parallelism; write 0 to 100000"),
    ],
)
async def test_why_nobody_knows_is_said(found: JSON | Exception, says: str) -> None:
    cluster = Cluster({"train": found})
    async with cluster.book() as book:
        note(book, "p", pod())
        await book.told()
        gang = book.gang(PodUID("p"))
    assert gang is not None
    assert gang.size == 0
    assert says in gang.unknown


async def until(cluster: Cluster, times: int) -> None:
    async with asyncio.timeout(20):
        while len(cluster.moved) < times:
            await asyncio.sleep(0.01)


async def test_it_is_asked_for_again_as_pods_come_and_go_and_after_a_while() -> None:
    cluster = Cluster({"train": job(3)})
    async with cluster.book() as book:
        note(book, "p", pod())
        await book.told()
        cluster.objects["train"] = job(5)
        note(book, "q", pod())
        await until(cluster, 2)
        assert book.gang(PodUID("p")) == Gang("lab/Job:train/u", 5, once=True)
        cluster.objects["train"] = job(4)
        book.forget(PodUID("q"))
        await until(cluster, 3)
        assert book.gang(PodUID("p")) == Gang("lab/Job:train/u", 4, once=True)
    async with cluster.book(seconds=0.2) as book:
        note(book, "p", pod())
        await book.told()
        cluster.objects["train"] = job(2)
        await until(cluster, 5)
        assert book.gang(PodUID("p")) == Gang("lab/Job:train/u", 2, once=True)


async def test_what_is_known_stays_known_while_the_api_server_is_away() -> None:
    cluster = Cluster({"train": job(3)})
    async with cluster.book(seconds=0.05) as book:
        note(book, "p", pod())
        await book.told()
        cluster.objects["train"] = AWAY
        asked = len(cluster.asked)
        async with asyncio.timeout(20):
            while len(cluster.asked) == asked:
                await asyncio.sleep(0.01)
        assert book.gang(PodUID("p")) == Gang("lab/Job:train/u", 3, once=True)
    assert len(cluster.moved) == 1


async def test_of_many_pods_is_told_a_few_at_a_time() -> None:
    cluster = Cluster({"train": job(120)})
    async with cluster.book() as book:
        for number in range(120):
            note(book, f"p{number:03}", pod())
        await book.told()
    assert [len(each) for each in cluster.moved] == [50, 50, 20]
    assert set().union(*cluster.moved) == {f"p{number:03}" for number in range(120)}


async def test_who_comes_while_it_is_read_for_those_that_went_has_it_read_once_more() -> None:
    cluster = Cluster({"train": job(3)})
    async with cluster.book() as book:
        note(book, "p", pod())
        while not cluster.asked:
            await asyncio.sleep(0)
        book.forget(PodUID("p"))
        cluster.objects["train"] = job(4)
        note(book, "q", pod())
        await book.told()
        assert book.gang(PodUID("q")) == Gang("lab/Job:train/u", 4, once=True)
    assert (cluster.asked, cluster.moved) == (["train", "train"], [{"q"}])


async def test_an_object_without_pods_is_forgotten() -> None:
    cluster = Cluster({"train": job(3)})
    async with cluster.book(seconds=0.05) as book:
        note(book, "p", pod())
        note(book, "p", pod("other", "v"))
        book.forget(PodUID("p"))
        await book.told()
        await asyncio.sleep(0.1)
        assert cluster.asked == []
        assert book.gang(PodUID("p")) is None


async def test_many_are_read_side_by_side_and_a_crash_is_no_secret() -> None:
    cluster = Cluster({f"job{number}": job(2) for number in range(20)})
    async with cluster.book() as book:
        for number in range(20):
            note(book, f"p{number}", pod(f"job{number}"))
        await book.told()
        assert {book.gang_of(pod(f"job{number}")) for number in range(20)} == {
            Gang(f"lab/Job:job{number}/u", 2, once=True) for number in range(20)
        }
    cluster.objects["bad"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await ask_for(cluster, "bad")


async def ask_for(cluster: Cluster, name: str) -> None:
    async with cluster.book() as book:
        note(book, "p", pod(name))
        await asyncio.sleep(10)


async def test_an_object_is_read_by_its_path(server: FakeApi, client: Client) -> None:
    jobs = Resource("batch", "v1", "jobs", "Job", namespaced=True)
    stored = {"metadata": {"name": "train", "namespace": "lab"}, "spec": {"parallelism": 6}}
    made = await client.post(jobs.list_path("lab"), stored)
    book = OwnerBook(
        Owners(), reading(client), moved=lambda _: None, clock=SystemClock(), seconds=60.0
    )
    async with running(book.run()):
        note(book, "p", pod(uid=made["metadata"]["uid"]))
        await book.told()
        gang = book.gang(PodUID("p"))
    assert gang is not None
    assert gang.size == 6
    assert [(each.verb, each.path) for each in server.requests][-1] == ("GET", f"{JOBS}train")


def test_many_objects_are_read_again_one_after_the_other_and_new_ones_before_them() -> None:
    asked = list[tuple[float, str]]()

    async def play() -> None:
        clock = virtualtime.LoopClock()
        start = clock.now()

        async def read(ref: ObjectRef) -> JSON:
            asked.append((clock.now() - start, ref.name))
            return job(1, uid=ref.uid)

        book = OwnerBook(Owners(), read, moved=lambda _uids: None, clock=clock, seconds=30.0)
        async with running(book.run()):
            for number in range(500):
                note(book, f"p{number}", pod(f"j{number}"))
            await book.told()
            await asyncio.sleep(60.0)
            note(book, "late", pod("late"))
            await book.told()
            assert asked[-1][1] == "late"
            assert clock.now() - start == pytest.approx(60.0, abs=0.1)

    virtualtime.run(play())
    again = [at for at, name in asked[500:] if name != "late"]
    assert len(again) == pytest.approx(300, abs=2)
    seconds = Counter(int(at) for at in again)
    assert set(seconds) == set(range(30, 60))
    assert max(seconds.values()) <= 11
