"""The ledger's decisions, one by one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Held
from scheduler.core.model.errors import AlreadyBound, LedgerError, Oversold, UnknownPlace
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request
from tests.support.builders import cpu_only, described, device, node, place, pod, share


def ledger_with(*names: str) -> Ledger:
    return Ledger(node(name) for name in names)


@pytest.mark.parametrize(
    ("placement", "request_", "error", "says"),
    [
        (place("n9", (0, 500, 8_000)), share(500), UnknownPlace, "node n9 is not known"),
        (place("n1", (7, 500, 8_000)), share(500), UnknownPlace, "no such device"),
        (place("n1", (0, 500, 0), uuids="n2"), share(500), UnknownPlace, "no such device"),
        (place("n1", (0, 1001, 0)), share(500), Oversold, "device n1/0 has too little left"),
        (place("n1", (0, 1, 16_001)), share(1), Oversold, "device n1/0 has too little left"),
        (place("n1", (0, 1, 1), (0, 1, 1)), share(1, 2), Oversold, "names a device twice"),
        (place("n1"), cpu_only(64_001), Oversold, "too little CPU or memory"),
        (place("n1"), Request(ram_mib=256_001), Oversold, "too little CPU or memory"),
        (place("shut", (0, 1, 1)), share(1), Oversold, "takes no new pod"),
        (place("shut"), cpu_only(1), Oversold, "takes no new pod"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    placement: Placement, request_: Request, error: type[LedgerError], says: str
) -> None:
    ledger = Ledger([node("n1"), node("n2"), node("shut", open=False)])
    ledger.reserve(pod("p", 250), place("n1", (0, 250, 4_000)))
    before = described(ledger.columns), dict(ledger.holdings), dict(ledger.held), ledger.generation
    with pytest.raises(error, match=says):
        # The same pod: its first reservation must still be there after the refusal.
        ledger.reserve(pod("p", request_), placement)
    after = described(ledger.columns), dict(ledger.holdings), dict(ledger.held), ledger.generation
    assert after == before


def test_a_second_reservation_of_a_pod_replaces_its_first() -> None:
    ledger = ledger_with("n1")
    ledger.reserve(pod("p", 600), place("n1", (0, 600, 9_600)))
    # Beside its own first reservation there would be no room.
    ledger.reserve(pod("p", 700), place("n1", (0, 700, 11_200)))
    assert ledger.columns.free[0].tolist() == [300, 1000]
    assert ledger.held == {"a": Held(700, 0, 1)}


def test_a_bound_pod_can_be_reserved_nowhere_else() -> None:
    ledger = ledger_with("n1", "n2")
    ledger.bind(pod("p"), place("n1", (0, 500, 8_000)))
    with pytest.raises(AlreadyBound, match="lab/p is bound to n1 already"):
        ledger.reserve(pod("p"), place("n2", (0, 500, 8_000)))


def test_a_reservation_that_is_bound_no_longer_expires() -> None:
    ledger = ledger_with("n1")
    ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)), expires=5.0)
    ledger.bind(pod("p"), place("n1", (0, 500, 8_000)))
    assert ledger.expire(now=100.0) == []
    assert ledger.columns.free[0, 0] == 500


def test_a_reservation_ends_at_its_time_and_not_before() -> None:
    ledger = ledger_with("n1")
    ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)), expires=5.0)
    assert ledger.expire(now=4.9) == []
    assert [holding.pod.uid for holding in ledger.expire(now=5.0)] == ["p"]
    assert ledger.held == {}


def test_a_reservation_is_handed_over_with_its_place_and_without_its_end() -> None:
    ledger = ledger_with("n1")
    ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)), expires=5.0)
    before = described(ledger.columns)
    assert ledger.hand_over(pod("p").uid, pod("q"))
    assert ledger.expire(now=100.0) == []
    assert (set(ledger.holdings), described(ledger.columns)) == ({"q"}, before)
    assert not ledger.hand_over(pod("p").uid, pod("r"))


def test_who_asks_for_something_else_is_handed_nothing() -> None:
    ledger = ledger_with("n1")
    ledger.reserve(pod("p", 500), place("n1", (0, 500, 8_000)))
    assert not ledger.hand_over(pod("p").uid, pod("q", 250))
    assert set(ledger.holdings) == {"p"}


def test_every_change_makes_the_generation_grow_and_nothing_else_does() -> None:
    ledger = ledger_with("n1")
    spot = place("n1", (0, 500, 8_000))
    generations = [ledger.generation]
    changes: list[Callable[[], object]] = [
        lambda: ledger.reserve(pod("p"), spot),
        lambda: ledger.bind(pod("p"), spot),
        lambda: ledger.release(pod("p").uid),
        lambda: ledger.close_node(node("n1").name, "x"),
        lambda: ledger.open_node(node("n1").name),
        lambda: ledger.put_nodes([node("n2")]),
        lambda: ledger.drop_node(node("n2").name),
    ]
    for change in changes:
        change()
        generations.append(ledger.generation)
    assert generations == sorted(set(generations))
    idle: list[Callable[[], object]] = [
        lambda: ledger.release(pod("p").uid),
        lambda: ledger.open_node(node("n1").name),
        lambda: ledger.drop_node(node("n2").name),
        lambda: ledger.expire(1e9),
    ]
    for nothing in idle:
        nothing()
        assert ledger.generation == generations[-1]


def test_a_bound_claim_is_never_refused_and_what_is_oversold_takes_no_more() -> None:
    ledger = ledger_with("n1")
    for name in ("p", "q"):
        ledger.bind(pod(name, 700), place("n1", (0, 700, 11_200)))
    assert ledger.columns.free[0, 0] == -400
    with pytest.raises(Oversold):
        ledger.reserve(pod("r", 1), place("n1", (0, 1, 16)))


def test_a_claim_on_an_unknown_device_closes_the_node_until_it_is_gone() -> None:
    ledger = ledger_with("n1")
    ledger.bind(pod("p"), place("n1", (0, 500, 8_000), uuids="elsewhere"))
    assert ledger.closed == {"n1": "pod lab/p holds a device that the node doesn't have"}
    assert (ledger.columns.room == -1).all()
    ledger.release(pod("p").uid)
    assert ledger.closed == {}
    assert ledger.columns.room[0].tolist() == [1000, 1000]


def test_a_device_that_comes_back_takes_up_its_claims_and_opens_the_node() -> None:
    ledger = ledger_with("n1")
    ledger.bind(pod("p"), place("n1", (1, 500, 8_000)))
    ledger.put_nodes([node("n1", devices=1)])
    assert list(ledger.closed) == ["n1"]
    # Renumbered as well: the UUID counts, not the index.
    ledger.put_nodes([node("n1", [device("n1/1"), device("n1/0")])])
    assert ledger.closed == {}
    assert ledger.columns.free[0].tolist() == [500, 1000]


def test_pods_may_be_heard_of_before_their_node() -> None:
    ledger = Ledger()
    ledger.bind(pod("p"), place("n1", (0, 500, 8_000)))
    ledger.close_node(node("n2").name, "its pod x can't be understood")
    ledger.put_nodes([node("n1"), node("n2")])
    assert ledger.columns.room.tolist() == [[500, 1000], [-1, -1]]


def test_a_node_told_twice_at_once_is_one_node() -> None:
    ledger = Ledger([node("n1", devices=4), node("n1", devices=1)])
    assert ledger.columns.names == ["n1"]
    assert int(ledger.columns.cap.sum()) == 1000


def test_a_dropped_node_takes_nothing_and_comes_back_with_its_claims() -> None:
    ledger = ledger_with("n1", "n2")
    ledger.bind(pod("p"), place("n1", (0, 500, 8_000)))
    ledger.drop_node(node("n1").name)
    with pytest.raises(UnknownPlace):
        ledger.reserve(pod("q"), place("n1", (1, 500, 8_000)))
    assert ledger.held == {"a": Held(500, 0, 1)}
    ledger.put_nodes([node("n1")])
    assert ledger.columns.free[0].tolist() == [500, 1000]


def test_an_ill_device_takes_nothing_and_keeps_what_it_has() -> None:
    ledger = ledger_with("n1")
    ledger.bind(pod("p"), place("n1", (0, 500, 8_000)))
    ledger.put_nodes([node("n1", [device("n1/0", healthy=False), device("n1/1")])])
    assert ledger.columns.free[0].tolist() == [500, 1000]
    assert ledger.columns.room[0].tolist() == [-1, 1000]
    ledger.release(pod("p").uid)
    assert ledger.columns.room[0].tolist() == [-1, 1000]


def test_memory_of_strangers_is_left_to_them() -> None:
    ledger = Ledger([node("n1", [device("n1/0", foreign_mib=9_000)])])
    with pytest.raises(Oversold):
        ledger.reserve(pod("p"), place("n1", (0, 500, 8_000)))
    ledger.reserve(pod("p", 400), place("n1", (0, 400, 6_400)))


def test_held_counts_what_can_not_be_stopped_apart() -> None:
    ledger = ledger_with("n1")
    ledger.reserve(pod("p", 250), place("n1", (0, 250, 4_000)))
    ledger.bind(pod("q", 500, preemptible=False), place("n1", (0, 500, 8_000)))
    ledger.bind(pod("r", 100, tenant="b"), place("n1", (1, 100, 1_600)))
    assert ledger.held == {"a": Held(750, 500, 2), "b": Held(100, 0, 1)}
    # A pod may be told anew: what it counted before is taken back.
    ledger.bind(pod("q", 500), place("n1", (0, 500, 8_000)))
    assert ledger.held == {"a": Held(750, 0, 2), "b": Held(100, 0, 1)}


def test_a_restart_keeps_closed_what_could_not_be_understood() -> None:
    ledger = ledger_with("n1", "n2")
    ledger.close_node(node("n1").name, "its pod x can't be understood")
    ledger.bind(pod("p"), place("n2", (0, 500, 8_000)))
    ledger.reserve(pod("q"), place("n2", (1, 500, 8_000)))
    twin = ledger.rebuilt()
    assert twin.closed == ledger.closed
    assert list(twin.holdings) == ["p"]


def test_a_pod_told_with_another_request_is_counted_by_the_new_one() -> None:
    ledger = ledger_with("n1")
    spot = place("n1", (0, 500, 8_000))
    ledger.reserve(pod("p", replace(share(500), cpu_milli=1_000)), spot)
    ledger.bind(pod("p", replace(share(500), cpu_milli=3_000)), spot)
    assert ledger.columns.free_cpu[0] == 61_000
