"""What agents report again and again."""

from dataclasses import replace

from scheduler.core.ledger.ledger import Ledger
from tests.support.builders import device, node


def test_measured_memory_comes_in_without_a_change() -> None:
    ledger = Ledger([node("n1", [device("d1")])])
    before = ledger.generation
    ledger.put_nodes([node("n1", [replace(device("d1"), used_mib=4_000)])])
    assert ledger.nodes[node("n1").name].devices[0].used_mib == 4_000
    assert ledger.generation == before


def test_what_placement_looks_at_is_a_change() -> None:
    ledger = Ledger([node("n1", [device("d1")])])
    for reported in (
        replace(device("d1"), foreign_mib=4_000),
        replace(device("d1"), load=500),
        replace(device("d1"), healthy=False),
    ):
        before = ledger.generation
        ledger.put_nodes([node("n1", [reported])])
        assert ledger.generation > before
