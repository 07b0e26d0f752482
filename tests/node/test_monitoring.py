"""Debian's Prometheus on the node, by the shipped configuration, while the demo's story runs there.

What panels and rules ask is answered, and with the numbers that `equipoise tenants` and `top` show.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from hack.dashboards import check, fairness, gpus, staging
from hack.dashboards.prometheus import Prometheus, Window
from hack.dashboards.promql import tenants
from scheduler.simulator.demoload import LARGE, SMALL
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.waiting import eventually
from tests.support.node.layout import NODE
from tests.support.node.release import FAST, NAMESPACE, Release
from tests.support.node.scraping import SCRAPE_SECONDS, prometheus
from tests.support.node.story import MACHINES, VALUES, told_on

SECONDS = 45.0
SLACK_SECONDS = 3.0
"""A scrape a second, rounds of decisions, and a command that takes a second to look."""

BETWEEN_LOOKS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a command showed, and the query that a panel has for it."""

    query: str
    labels: tuple[tuple[str, str], ...]
    value: float

    def __str__(self) -> str:
        return f"{dict(self.labels)} {self.value:g} of {self.query}"


@dataclass(frozen=True, slots=True)
class Shown:
    """All numbers that commands showed between two moments."""

    start: float
    end: float
    numbers: tuple[Number, ...]

    def disagreeing(self, server: Prometheus, *, slack: float = SLACK_SECONDS) -> list[Number]:
        """Return the numbers that Prometheus didn't have around then."""
        around = Window(self.start - slack, self.end + slack, SCRAPE_SECONDS)
        found: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = {}
        for query in {each.query for each in self.numbers}:
            names = {
                name for each in self.numbers if each.query == query for name, _ in each.labels
            }
            for series in server.over(around.fill(query), around):
                labels = tuple(sorted((k, v) for k, v in series.labels.items() if k in names))
                found.setdefault((query, labels), []).extend(value for _, value in series.points)
        return [
            each
            for each in self.numbers
            if not _within(each.value, found.get((each.query, each.labels), ()))
        ]


def _within(value: float, points: Sequence[float]) -> bool:
    return bool(points) and min(points) - 1e-3 <= value <= max(points) + 1e-3


def look(release: Release) -> Shown:
    """Ask the commands, as an admin would."""
    start = time.time()
    numbers = (*_of_tenants(_run(release, "tenants")), *_of_cards(_run(release, "top")))
    return Shown(start, time.time(), numbers)


def _of_tenants(shown: dict[str, Any]) -> Iterator[Number]:
    asked = {
        "due": tenants(fairness.DUE),
        "has": tenants(fairness.GOT),
        "wants": tenants("equipoise_tenant_demand_gpus"),
        "waiting_pods": tenants("equipoise_tenant_pending_pods"),
    }
    for each in shown["tenants"]:
        for word, query in asked.items():
            yield Number(query, (("tenant", each["name"]),), each[word])


def _of_cards(shown: dict[str, Any]) -> Iterator[Number]:
    for each in shown["devices"]:
        labels = (("device", str(each["index"])), ("node", each["node"]))
        promised = sum(piece["milli"] for piece in each["slices"])
        yield Number(gpus.ALLOCATED, labels, promised / each["milli"])
        yield Number(gpus.LOAD, labels, each["load"] / 1000)
        yield Number(gpus.MEMORY, labels, each["used_mib"] / each["memory_mib"])


def _run(release: Release, command: str) -> dict[str, Any]:
    kubeconfig = str(release.machine.plane.kubeconfig())
    argv = [sys.executable, "-m", "scheduler", command, "--json", "--kubeconfig", kubeconfig]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass(frozen=True, slots=True)
class Watched:
    """What was asked and shown. `posed`: what disagreed once nothing moved any more.

    `problems` is what the auditor and the API server found wrong, `placed` how many pods got GPUs.
    """

    findings: tuple[check.Finding, ...]
    looks: list[Shown]
    moving: list[Number]
    posed: list[Number]
    lost: int
    problems: list[str]
    placed: int


@pytest.fixture(scope="module")
def watched(installed: Release) -> Iterator[Watched]:
    """Play the story under a Prometheus, and ask it everything."""
    release = installed
    release.install(FAST, more=VALUES)
    with told_on(release) as story, prometheus(release.machine) as url:
        story.doom()
        server = Prometheus(url)
        eventually(server.ready, 30, what="Prometheus is ready")
        # One that knows the devices of all machines of the story.
        auditor = Auditor(release.machine.plane.kubeconfig())
        auditor.start()
        began = time.time()
        looks = _looking_on(release, lambda: story.play(SECONDS))
        story.end()
        story.pose()
        posed = _settled(release, server)
        findings = _ask_all(server, began)
        moving = [number for each in looks for number in each.disagreeing(server)]
        (lost,) = server.now('sum(equipoise_decisions_total{reason="DeviceLost"})', time.time())
        auditor.caught_up()
        problems, placed = [*auditor.problems(), *release.refusals()], auditor.placed
        auditor.close()
        webhook = _ask_of_webhook(release, server)
        server.close()
        yield Watched((*findings, *webhook), looks, moving, posed, int(lost.last), problems, placed)


def _looking_on(release: Release, play: Callable[[], None]) -> list[Shown]:
    looks = []
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(play)
        while not playing.done():
            time.sleep(BETWEEN_LOOKS_SECONDS)
            looks.append(look(release))
        playing.result()
    return looks


def _settled(release: Release, server: Prometheus) -> list[Number]:
    """Return what disagrees when all has come to rest: no number changed for seconds."""
    before = look(release)

    def at_rest() -> Shown | None:
        nonlocal before
        time.sleep(SLACK_SECONDS)
        last, before = before, look(release)
        return (
            Shown(last.end, before.start, last.numbers) if last.numbers == before.numbers else None
        )

    return eventually(at_rest, 30, what="nothing moves any more").disagreeing(server, slack=0.0)


def _ask_all(server: Prometheus, began: float) -> list[check.Finding]:
    now = time.time()
    during = check.window((now - began) / 60, now)
    return [*check.of_panels(server, during), *check.of_rules(server, during)]


def _ask_of_webhook(release: Release, server: Prometheus) -> list[check.Finding]:
    """Have it missed by somebody, and ask once more what only then has an answer."""
    plane, deployment = release.machine.plane, "deployment/equipoise-scheduler"
    scale = ("scale", "--namespace", NAMESPACE, deployment)
    began = time.time()
    plane.kubectl(*scale, "--replicas=0")
    try:
        staging.miss_webhook(release.machine.api, server)
        # The last point that a panel asks for lies up to a step before now.
        time.sleep(2 * SLACK_SECONDS)
        return _ask_all(server, began)
    finally:
        plane.kubectl("cordon", *MACHINES)  # the pods that come now have to be real ones
        plane.kubectl(*scale, "--replicas=2")
        plane.kubectl("rollout", "status", "--namespace", NAMESPACE, deployment, "--timeout=120s")


def test_every_query_of_panels_and_rules_is_answered(watched: Watched) -> None:
    answered = {each.where for each in watched.findings if each.series}
    silent = {each.where: each.problem for each in watched.findings if each.where not in answered}
    assert silent == {}
    assert len(answered) > 100


def test_commands_show_all_tenants_and_cards(watched: Watched) -> None:
    machines = {*MACHINES, NODE}
    assert len(watched.looks) >= 2
    for shown in watched.looks:
        labels = [dict(each.labels) for each in shown.numbers]
        assert {each["tenant"] for each in labels if "tenant" in each} >= {LARGE, *SMALL}
        assert {each["node"] for each in labels if "node" in each} == machines


def test_its_numbers_are_those_of_the_commands_while_pods_come_and_go(watched: Watched) -> None:
    """But for dips between one pod's end and the next one's turn, which most scrapes miss."""
    of = Counter(each.query for shown in watched.looks for each in shown.numbers)
    wrong = Counter(each.query for each in watched.moving)
    assert {query: wrong[query] for query in of if wrong[query] > 0.25 * of[query]} == {}
    assert wrong.total() <= 0.1 * of.total(), "\n".join(map(str, watched.moving))


def test_its_numbers_are_those_of_the_commands_when_nothing_moves(watched: Watched) -> None:
    assert watched.posed == []


def test_a_card_broke_while_somebody_was_on_it(watched: Watched) -> None:
    assert watched.lost >= 1


def test_nothing_was_sold_twice_or_refused_in_the_story(watched: Watched) -> None:
    assert watched.problems == []
    assert watched.placed > 50
