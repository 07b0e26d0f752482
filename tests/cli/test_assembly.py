"""What is wired together: where a pod may go that no round was asked about."""

from fractions import Fraction
from typing import Any

import pytest

from scheduler.cli.assembly import assemble
from scheduler.cli.embedded import equip
from scheduler.core.fairness.spending import Used
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.budgets import Budget, Period
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.placements import Placement
from scheduler.settings import Settings
from scheduler.simulator.cluster import EmbeddedCluster
from tests.controller.hands import Eyes, Hands
from tests.support.builders import node, pod, tenant, whole
from tests.support.extenders import ManualClock, offer, pod_json

HOUR = 3600.0
LAB = tenant("lab", guarantee=1, budget=Budget(Fraction(1), Period.MONTH))


async def _nothing(_ref: object) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("used", [0.0, HOUR])
def test_a_pod_that_can_t_be_stopped_gets_no_place_while_its_tenant_is_over_budget(
    used: float,
) -> None:
    clock = ManualClock()
    made = assemble(
        Ledger([node("n", 2)]),
        Settings(),
        clock=clock,
        applier=Hands(),
        watcher=Eyes(),
        read=_nothing,
    )
    made.controller.set_tenants([LAB])
    made.controller.restore({}, {LAB.name: Used(clock.now(), used)})
    fixed, other = (
        pod(name, whole(), "lab", preemptible=kind) for name, kind in (("f", False), ("o", True))
    )
    for each, placed in ((fixed, not used), (other, True)):
        assert (made.planner.anywhere(each) is not None) is placed
        assert isinstance(made.planner(each, [NodeName("n")]), Placement) is placed


@pytest.mark.parametrize("used", [0.0, HOUR])
def test_nor_on_the_embedded_cluster(used: float) -> None:
    clock = ManualClock()
    made = equip(
        EmbeddedCluster(clock),
        [node("n", 2)],
        [LAB],
        settings=Settings(),
        clock=clock,
        watcher=Eyes(),
    )
    made.controller.restore({}, {TenantName("lab"): Used(clock.now(), used)})
    asked = offer(pod_json("f", "1", preemptible="false"), "n")
    assert bool(made.extender.filter(asked).names) is not bool(used)
