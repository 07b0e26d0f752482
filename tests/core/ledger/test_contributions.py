"""What the machines of each owner come to, whatever befalls them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.cycle.capacity import Capacity
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.constraints import Taint
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Node
from scheduler.core.model.tenants import Brought
from tests.support import builders
from tests.support.builders import device, node, place, pod

SICK = [device("s/0"), device("s/1", healthy=False)]


def owned(name: str, owner: str = "a", devices: Any = 2, **changes: Any) -> Node:
    return node(name, devices, labels={OWNER_LABEL: owner}, **changes)


@pytest.mark.parametrize(
    ("machine", "brought"),
    [
        (owned("n", devices=8), Brought(8000)),
        (owned("n", devices=SICK), Brought(1000, ill=1000)),
        (owned("n", devices=[device("n/0", "mig-1g")]), Brought(builders.MIG_MILLI)),
        (owned("n", devices=[device("n/0", foreign_mib=9_000, load=900)]), Brought(1000)),
        (owned("n", devices=SICK, open=False), Brought(ill=1000, away=1000)),
        (owned("n", closed="it advertises nvidia.com/gpu"), Brought(away=2000)),
        (owned("n", taints=(Taint("node.kubernetes.io/unreachable"),)), Brought(away=2000)),
        (owned("n", taints=(Taint("node.kubernetes.io/not-ready"),)), Brought(away=2000)),
        (owned("n", taints=(Taint("gpu"),)), Brought(2000)),
        (owned("n", devices=0), Brought()),
    ],
)
def test_what_counts_of_a_machine(machine: Node, brought: Brought) -> None:
    assert Ledger([machine]).brought == {"a": brought}


def test_machines_of_one_owner_add_up_and_those_of_nobody_count_for_nobody() -> None:
    machines = [owned("1"), owned("2", devices=SICK), owned("3", "b"), node("4", 8), owned("5", "")]
    assert Ledger(machines).brought == {"a": Brought(3000, ill=1000), "b": Brought(2000)}


def test_it_follows_the_node_and_a_pod_that_closes_it() -> None:
    ledger = Ledger([owned("n")])
    ledger.close_node("n", "pod x can't be understood")  # type: ignore[arg-type]
    assert ledger.brought == {"a": Brought(away=2000)}
    ledger.open_node("n")  # type: ignore[arg-type]
    ledger.bind(pod("p"), place("n", (0, 500, 8_000)))
    assert ledger.brought == {"a": Brought(2000)}
    ledger.bind(pod("q"), place("n", (0, 500, 8_000), uuids="strange"))
    assert ledger.brought == {"a": Brought(away=2000)}
    ledger.release(pod("q").uid)
    ledger.put_nodes([owned("n", "b")])
    assert ledger.brought == {"b": Brought(2000)}
    ledger.drop_node("n")  # type: ignore[arg-type]
    assert ledger.brought == {}


@given(st.data())
def test_all_that_counts_is_there_to_share(data: st.DataObject) -> None:
    """So guarantees that are nothing else can be kept, whatever failed, closed or went."""
    owners = st.sampled_from(["a", "b", ""])
    machines = [
        replace(each, labels={OWNER_LABEL: data.draw(owners)}, taints=())
        for each in data.draw(builders.labelled_clusters())
    ]
    ledger = Ledger(machines)
    if data.draw(st.booleans()):
        ledger.close_node(machines[0].name, "a pod on it can't be understood")
    counted = sum(each.milli for each in ledger.brought.values())
    assert counted <= Capacity(ledger.columns).gpus * MILLI
    everything = sum(device.milli for each in machines if each.owner for device in each.devices)
    assert sum(each.all for each in ledger.brought.values()) == everything
