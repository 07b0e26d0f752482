"""The planner in filter: places among what is offered, within everybody's caps."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from scheduler.controller.planner import Planner
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.constraints import Taint
from scheduler.core.model.ids import NodeName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.core.packing.mix import Mix
from tests.support.builders import by_memory, clusters, node, only, place, pod, pods, tenant, whole

PLAIN = [tenant("a"), tenant("b")]


def planner(ledger: Ledger, tenants: Iterable[Tenant] = PLAIN) -> Planner:
    tree, mix = TenantTree(tenants), Mix(())
    return Planner(ledger, policy="fgd", tree=lambda: tree, mix=lambda: mix)


def names(*offered: str) -> list[NodeName]:
    return [NodeName(name) for name in offered]


def reason(outcome: Placement | Verdict) -> Reason:
    assert isinstance(outcome, Verdict)
    return outcome.reason


def test_it_books_nothing() -> None:
    ledger = Ledger([node("n1")])
    before = ledger.generation
    assert isinstance(planner(ledger)(pod("p"), names("n1")), Placement)
    assert (ledger.generation, dict(ledger.holdings)) == (before, {})


def test_only_what_is_offered_and_known_is_looked_at() -> None:
    plan = planner(Ledger([node("n1"), node("n2"), node("n3")]))
    found = plan(pod("p"), names("unknown", "n2"))
    assert isinstance(found, Placement)
    assert found.node == "n2"
    assert reason(plan(pod("p"), names("unknown"))) == Reason.NO_ROOM
    assert reason(plan(pod("p"), names())) == Reason.NO_ROOM


def test_what_was_taken_since_the_last_call_is_seen() -> None:
    ledger = Ledger([node("n1", 1)])
    plan = planner(ledger)
    assert isinstance(plan(pod("p", whole()), names("n1")), Placement)
    ledger.reserve(pod("q", 100), place("n1", (0, 100, 1_600)))
    assert reason(plan(pod("p", whole()), names("n1"))) == Reason.NO_ROOM
    ledger.release(pod("q").uid)
    assert isinstance(plan(pod("p", whole()), names("n1")), Placement)


def test_a_tenant_that_does_not_exist_or_has_children_gets_no_place() -> None:
    plan = planner(Ledger([node("n1")]), [tenant("top"), tenant("a", "top")])
    assert reason(plan(pod("p", tenant="nobody"), names("n1"))) == Reason.UNKNOWN_TENANT
    assert reason(plan(pod("p", tenant="top"), names("n1"))) == Reason.TENANT_HAS_CHILDREN
    assert isinstance(plan(pod("p", tenant="a"), names("n1")), Placement)


def test_a_limit_holds_in_filter_too_whatever_hangs_above() -> None:
    ledger = Ledger([node("n1", 4)])
    plan = planner(ledger, [tenant("top", limit=1), tenant("a", "top"), tenant("b", "top")])
    ledger.bind(pod("p", 600), place("n1", (0, 600, 9_600)))
    assert reason(plan(pod("q", 500, "b"), names("n1"))) == Reason.OVER_LIMIT
    assert isinstance(plan(pod("q", 400, "b"), names("n1")), Placement)
    # By memory it counts as its part of the card that it lands on: 8000 of 16000 MiB are half.
    assert reason(plan(pod("q", by_memory(8_000), "b"), names("n1"))) == Reason.OVER_LIMIT


def test_what_the_pod_has_reserved_moves_with_it_and_does_not_count_twice() -> None:
    ledger = Ledger([node("n1", 1), node("n2", 1)])
    plan = planner(ledger, [tenant("a", limit=1, guarantee=1)])
    mine = pod("p", whole(), preemptible=False)
    ledger.reserve(mine, place("n1", (0, 1000, 16_000)))
    moved = plan(mine, names("n2"))
    assert isinstance(moved, Placement)
    assert moved.node == "n2"
    assert reason(plan(pod("q", 100), names("n2"))) == Reason.OVER_LIMIT


def test_a_pod_that_can_not_be_stopped_fits_inside_the_guarantee() -> None:
    plan = planner(Ledger([node("n1", 2)]), [tenant("a", guarantee="1/2")])
    assert isinstance(plan(pod("p", 500, preemptible=False), names("n1")), Placement)
    assert reason(plan(pod("p", 501, preemptible=False), names("n1"))) == Reason.OVER_GUARANTEE
    assert isinstance(plan(pod("p", 501), names("n1")), Placement)


def test_what_could_never_fit_is_told_from_what_has_no_room_now() -> None:
    ledger = Ledger([node("n1", 2)])
    ledger.bind(pod("p", whole(2)), place("n1", (0, 1000, 16_000), (1, 1000, 16_000)))
    plan = planner(ledger)
    assert reason(plan(pod("q", whole(2)), names("n1"))) == Reason.NO_ROOM
    assert reason(plan(pod("q", whole(3)), names("n1"))) == Reason.NEVER_FITS
    ledger.put_nodes([node("n2", 3)])
    assert reason(plan(pod("q", whole(3)), names("n1"))) == Reason.NO_ROOM


def test_a_closed_node_is_no_place() -> None:
    ledger = Ledger([node("n1")])
    ledger.close_node(NodeName("n1"), "somebody can't be understood")
    assert reason(planner(ledger)(pod("p"), names("n1"))) == Reason.NO_ROOM


def test_nodes_that_the_constraints_exclude_come_after_all_others() -> None:
    cluster = [node("n1", 1), *(node(f"n{at}", 2, labels={"zone": "b"}) for at in range(2, 90))]
    ledger = Ledger(cluster)
    asking = pod("p", constraints=only(zone="b"))
    few, many = names("n1", "n2"), names(*(str(each.name) for each in cluster))
    plan = planner(ledger)
    for offered in (few, many):
        assert isinstance(plan(pod("q"), offered), Placement)
        found = plan(asking, offered)
        assert isinstance(found, Placement)
        assert found.node == "n2"
    # kube-scheduler, which offers it, may have heard of a label that we haven't.
    alone = plan(asking, names("n1"))
    assert isinstance(alone, Placement)
    assert alone.node == "n1"


def test_a_taint_that_comes_between_two_calls_is_seen() -> None:
    ledger = Ledger([node("n1", 1), *(node(f"n{at}", 2) for at in range(2, 90))])
    plan, every = planner(ledger), names(*(f"n{at}" for at in range(1, 90)))
    first = plan(pod("p"), every)
    assert isinstance(first, Placement)
    assert first.node == "n1"
    ledger.put_nodes([node("n1", 1, taints=(Taint("gpu"),))])
    second = plan(pod("p"), every)
    assert isinstance(second, Placement)
    assert second.node != "n1"


def test_what_constraints_leave_no_node_for_is_told_once_labels_change() -> None:
    ledger = Ledger([node("n1", 1)])
    ledger.bind(pod("p", whole()), place("n1", (0, 1000, 16_000)))
    plan, asking = planner(ledger), pod("q", constraints=only(zone="b"))
    assert reason(plan(asking, names("n1"))) == Reason.NEVER_FITS
    ledger.put_nodes([node("n1", 1, labels={"zone": "b"})])
    assert reason(plan(asking, names("n1"))) == Reason.NO_ROOM


@given(clusters(), st.lists(pods(st.sampled_from("pqrstuvw")), max_size=12), st.data())
def test_every_place_is_one_that_the_ledger_takes(
    nodes: list[Node], asked: list[Pod], data: st.DataObject
) -> None:
    ledger = Ledger(nodes)
    plan = planner(ledger, [*PLAIN, tenant("c", guarantee=2, limit=3)])
    every = [each.name for each in nodes]
    for each in asked:
        offered = data.draw(st.lists(st.sampled_from(every), unique=True))
        outcome = plan(each, offered)
        if isinstance(outcome, Placement):
            assert outcome.node in offered
            ledger.reserve(each, outcome)
    assert ledger.columns.free.min(initial=0) >= 0


def test_what_no_node_could_ever_hold_is_told_apart_from_what_waits() -> None:
    ledger = Ledger([node("n1", 2)])
    plan = planner(ledger)
    assert reason(plan(pod("p", whole(3)), names("n1"))) == Reason.NEVER_FITS
    assert reason(plan(pod("p", by_memory(99_999)), names("n1"))) == Reason.NEVER_FITS
    ledger.put_nodes([node("n2", 4)])
    assert isinstance(plan(pod("p", whole(3)), names("n1", "n2")), Placement)
    assert reason(plan(pod("p", whole(3)), names("n1"))) == Reason.NO_ROOM
