"""Contributed guarantees follow nodes: in the next round, and everywhere at once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from scheduler.controller.controller import Controller
from scheduler.core.journal.comparing import differences, replay
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Node
from scheduler.core.model.standing import Standing, TenantStanding, told_of
from scheduler.core.model.tenants import Brought
from tests.controller.hands import Hands, controller
from tests.controller.test_journal import Pages, entries
from tests.support.builders import device, node, pod, tenant, whole
from tests.support.extenders import ManualClock

A, N1 = TenantName("a"), NodeName("n1")
TENANTS = [tenant("a", contributed=True), tenant("b", guarantee=1)]


def owned(name: str, owner: str, cards: Any = 2, **changes: Any) -> Node:
    return node(name, cards, labels={OWNER_LABEL: owner}, **changes)


def sick(name: str, owner: str) -> Node:
    return owned(name, owner, [device(f"{name}/0"), device(f"{name}/1", healthy=False)])


def of(standing: Standing, name: str) -> TenantStanding:
    return next(each for each in standing.tenants if each.name == name)


@pytest.fixture
def made() -> Controller:
    return controller(Ledger([owned("n1", "a"), node("n2", 2)]), TENANTS, clock=ManualClock())


def test_nodes_that_come_change_and_go_are_its_guarantee(made: Controller) -> None:
    assert made.tree.tenants[A].guarantee == 2
    changes: list[tuple[Callable[[], None], int, Brought]] = [
        (lambda: made.put_nodes([sick("n1", "a")]), 1, Brought(1000, ill=1000)),
        (lambda: made.put_nodes([owned("n3", "a", 8)]), 9, Brought(9000, ill=1000)),
        (
            lambda: made.put_nodes([owned("n3", "a", 8, open=False)]),
            1,
            Brought(1000, ill=1000, away=8000),
        ),
        (lambda: made.put_nodes([owned("n1", "a"), owned("n3", "b", 8)]), 2, Brought(2000)),
        (lambda: made.drop_node(N1), 0, Brought()),
    ]
    for change, guarantee, brought in changes:
        change()
        seen = of(made.standing(), "a")
        assert (seen.guarantee, seen.brought) == (Fraction(guarantee), brought)
        assert seen.contributed
        assert made.snapshot().tenants == tuple(made.tree.tenants.values())
        assert made.tree.tenants[A].guarantee == guarantee
    b = of(made.standing(), "b")
    assert (b.guarantee, b.brought, b.contributed) == (Fraction(1), Brought(8000), False)


def test_new_tenants_have_theirs_at_once(made: Controller) -> None:
    made.set_tenants([replace(TENANTS[0], weight=Fraction(2)), *TENANTS[1:]])
    assert made.tree.tenants[A].guarantee == 2
    made.set_tenants([tenant("a", guarantee=5)])
    assert made.tree.tenants[A].guarantee == 5


async def test_the_next_round_decides_by_it_and_its_journal_is_replayed_alike() -> None:
    clock, pages = ManualClock(), Pages()
    made = controller(Ledger([owned("n1", "a"), node("n2", 2)]), TENANTS, clock=clock)
    made.take_down(pages)
    made.add(pod("p", whole(2), "a", preemptible=False))
    made.add(pod("q", whole(), "a", preemptible=False, created=1.0))
    plan = await made.round()
    assert [admit.pod.name for admit in plan.admits] == ["p"]
    assert [str(hold.verdict.reason) for hold in plan.holds] == ["OverGuarantee"]
    made.put_nodes([owned("n2", "a")])
    plan = await made.round()
    assert [admit.pod.name for admit in plan.admits] == ["q"]
    plan = await made.round()
    assert (plan.admits, plan.holds) == ((), ())
    found = entries(pages.lines)
    assert [entry.inputs.snapshot.tenants[0].guarantee for entry in found] == [2, 4, 4]
    assert [differences(entry.plan, replay(entry.inputs)) for entry in found] == [[], [], []]


async def test_a_plan_made_for_guarantees_that_moved_meanwhile_is_not_carried_out() -> None:
    ledger, hands = Ledger([owned("n1", "a"), node("n2", 2)]), Hands()
    made = controller(ledger, TENANTS, clock=ManualClock(), hands=hands, worker_above=0)
    made.add(pod("p", whole(2), "a", preemptible=False))

    async def one_fails() -> None:
        # The round is being worked out in its thread; somebody looks at the page.
        made.put_nodes([sick("n1", "a")])
        assert of(made.standing(), "a").guarantee == 1

    await asyncio.gather(made.round(), one_fails())
    assert hands.released == []
    plan = await made.round()
    assert [str(hold.verdict.reason) for hold in plan.holds] == ["OverGuarantee"]


def test_an_owner_who_is_no_tenant_is_said_once(
    made: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = (
        'node n9 names the owner "nobody", which is no tenant, so it counts for nobody: create '
        "the Tenant, or correct the label equipoise.dev/owner"
    )
    with caplog.at_level(logging.WARNING):
        made.put_nodes([owned("n9", "nobody")])
        made.put_nodes([owned("n9", "nobody", 1)])
        assert list(told_of(made.standing().strays)) == [sentence]
        assert caplog.messages == [sentence]
        made.set_tenants([*TENANTS, tenant("nobody", contributed=True)])
        assert of(made.standing(), "nobody").guarantee == 1
        assert made.standing().strays == ()
        made.set_tenants(TENANTS)
        assert caplog.messages == [sentence, sentence]
        made.drop_node(NodeName("n9"))
        made.put_nodes([owned("n9", "nobody")])
        assert len(caplog.messages) == 3


def test_of_many_nodes_it_is_said_once_for_their_owner(
    made: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"n{number}" for number in range(50, 90)]
    with caplog.at_level(logging.WARNING):
        made.put_nodes([owned(name, "nobody") for name in names] + [owned("o", "other")])
        made.put_nodes([owned("n99", "nobody")])
        rest = "create the Tenant, or correct the label equipoise.dev/owner"
        assert caplog.messages == [
            '40 nodes (n50, n51, n52 and others) name the owner "nobody", which is no tenant, so '
            f"they count for nobody: {rest}",
            f'node o names the owner "other", which is no tenant, so it counts for nobody: {rest}',
        ]
        assert len(made.standing().strays) == 42
        # It is the same thing still, though of other nodes.
        made.drop_node(NodeName("n50"))
        made.put_nodes([owned("n51", "a"), owned("n50", "nobody")])
        assert len(caplog.messages) == 2
