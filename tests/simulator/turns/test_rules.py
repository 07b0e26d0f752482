"""Other rules in the same world: what they are known to do to large and small tenants."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.running import Running
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.scenarios.sharefile import ShareCase, read_shares
from scheduler.simulator.turns.measures import Measures
from scheduler.simulator.turns.roundedshares import rounded_shares
from scheduler.simulator.turns.rules import RULES
from scheduler.simulator.turns.workloads import HOUR, LARGE, SMALL, Workload, bursts, nodes, sixty
from scheduler.simulator.turns.world import World

CASES = read_shares(Path(__file__).resolve().parents[2] / "scenarios" / "shares.json")
OLD, YOUNG = Tenant(TenantName("old")), Tenant(TenantName("young"), created=1.0)


def play(workload: Workload, rule: str) -> Measures:
    chosen = RULES[rule]
    return World(workload, chosen.profile, Random(1), decide=chosen.decide).run()


@pytest.mark.parametrize("case", [case for case in CASES if case.kai], ids=lambda case: case.id)
def test_rounded_shares_are_what_kai_computes(case: ShareCase) -> None:
    given = rounded_shares(case.tree, case.total, case.demand)
    assert case.kai is not None
    assert {name: given[name] for name in case.kai} == dict(case.kai)


def test_first_come_serves_who_asks_more_often_and_not_who_is_due_more() -> None:
    measures = play(sixty(3 * HOUR), "first come")
    # Eleven tenants with as many requests each: the one that is due 9 of 10 GPUs has one.
    assert measures.got[LARGE] < 0.15 * 9 * 3 * HOUR
    assert all(measures.got[leaf] > 5 * 0.1 * 3 * HOUR for leaf in SMALL)
    assert measures.evictions == 0


def test_whole_shares_leave_all_small_tenants_but_the_oldest_without_any() -> None:
    measures = play(sixty(3 * HOUR), "kai-like")
    assert measures.got[LARGE] == pytest.approx(9 * 3 * HOUR)
    assert [measures.got[leaf] > 0 for leaf in SMALL] == [True] + 9 * [False]
    assert all(measures.worst[leaf] > 2.9 * HOUR for leaf in SMALL[1:])


@pytest.mark.parametrize("rule", RULES)
def test_what_is_due_is_the_exact_share_under_every_rule(rule: str) -> None:
    measures = play(sixty(HOUR), rule)
    for leaf, gpus in ((LARGE, 9.0), *((leaf, 0.1) for leaf in SMALL)):
        assert measures.due[leaf] == pytest.approx(gpus * HOUR)


def test_every_rule_plays_the_same_jobs() -> None:
    worlds = [World(bursts(HOUR), rule.profile, Random(3), decide=rule.decide)
              for rule in RULES.values()]  # fmt: skip
    came = {tuple(world.workload.arrivals(Random(3))) for world in worlds}
    assert len(came) == 1


def pod(name: str, cards: int, *, created: float = 0.0) -> Pod:
    """A pod of whoever its name begins with."""
    leaf = TenantName(name.split("-", maxsplit=1)[0])
    return Pod(PodUID(name), leaf, name, leaf, Request(devices=cards, milli=MILLI), created=created)


def decide(rule: str, waiting: list[Pod], running: Mapping[str, int]) -> tuple[str, str]:
    """Who starts and who is stopped on a node of four cards, where others run, the oldest first."""
    (node,) = nodes(4)
    ledger, runs, free = Ledger([node]), [], iter(enumerate(node.devices))
    for since, (name, cards) in enumerate(running.items()):
        slots = tuple(Slot(at, device.uuid, MILLI, 0) for at, device in islice(free, cards))
        runs.append(Running(pod(name, cards), Placement(node.name, slots), float(since)))
        ledger.bind(runs[-1].pod, runs[-1].placement)
    snapshot = replace(ledger.snapshot(tenants=(OLD, YOUNG)), running=tuple(runs))
    plan = RULES[rule].decide(snapshot, waiting, 100.0, RULES[rule].profile)
    started = " ".join(each.pod.name for each in plan.admits)
    return started, " ".join(each.pod.name for each in plan.evicts)


ONES = [pod(f"young-{at}", 1, created=at) for at in range(3)]
THREES = [pod("old-b", 3, created=1.0), pod("young-c", 1, created=2.0), pod("old-a", 2)]


@pytest.mark.parametrize(
    ("rule", "waiting", "running", "started", "stopped"),
    [
        ("first come", ONES, {"old-x": 2}, "young-0 young-1", ""),
        ("first come", ONES, {"old-x": 4}, "", ""),
        ("first come", THREES, {}, "old-a young-c", ""),
        # Both are due two of four: by turns, the older first.
        ("kai-like", [*ONES, *(pod(f"old-{at}", 1) for at in range(3))], {},
         "old-0 young-0 old-1 young-1", ""),
        # Inside its share it takes, the newest first, and no more than it needs.
        ("kai-like", ONES, {"old-x": 2, "old-y": 1, "old-z": 1}, "young-0", "old-z"),
        ("kai-like", [pod("young-0", 2)], {"old-x": 1, "old-y": 2, "old-z": 1},
         "young-0", "old-y"),
        # Beyond its share it doesn't, nor from who has no more than its own.
        ("kai-like", [pod("young-0", 3)], {"old-x": 4}, "", ""),
        ("kai-like", [pod("young-0", 1)], {"old-x": 2, "young-x": 2}, "", ""),
    ],
)  # fmt: skip
def test_who_starts_and_who_is_stopped(
    rule: str, waiting: list[Pod], running: Mapping[str, int], started: str, stopped: str
) -> None:
    assert decide(rule, waiting, running) == (started, stopped)
    assert decide(rule, waiting[::-1], running) == (started, stopped)
