"""What of the free capacity is no use, and why: the causes add up to FGD's F."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.fragments import Fragments
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request
from scheduler.core.packing.fragments import fragments
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from tests.support import builders
from tests.support.builders import cpu_only, node, place, pod, share, whole


def two_cards() -> Ledger:
    """One card with 400 milli-GPU free and an untouched one."""
    ledger = Ledger([node("n1", 2, cpu_milli=4_000)])
    ledger.bind(pod("p", 600), place("n1", (0, 600, 9_600)))
    return ledger


@pytest.mark.parametrize(
    ("mix", "lost"),
    [
        ([], Fragments()),
        ([(share(250), 1)], Fragments()),
        ([(share(500), 1)], Fragments(devices=400)),
        ([(whole(1), 1)], Fragments(devices=400)),
        ([(whole(2), 1)], Fragments(devices=1400)),
        ([(share(300, 3), 1)], Fragments(devices=1400)),
        ([(share(250, cpu_milli=5_000), 1)], Fragments(cpu=1400)),
        ([(share(500, cpu_milli=5_000), 1)], Fragments(devices=400, cpu=1000)),
        ([(share(250, models=("A100",)), 1)], Fragments(model=1400)),
        ([(cpu_only(), 1)], Fragments(none=1400)),
        ([(whole(1), 3), (share(250), 1)], Fragments(devices=300)),
        ([(share(500), 1), (cpu_only(), 1)], Fragments(devices=200, none=700)),
    ],
)
def test_each_cause(mix: list[tuple[Request, int]], lost: Fragments) -> None:
    assert fragments(two_cards().columns, Mix(mix)) == lost


def test_slices_serve_only_who_names_them() -> None:
    sliced = Ledger([node("n1", 1, model="mig-1g")]).columns
    free = int(sliced.room.sum())
    assert fragments(sliced, Mix([(whole(1), 1)])) == Fragments(model=free)
    assert fragments(sliced, Mix([(whole(1, models=("mig-1g",)), 1)])) == Fragments()
    assert fragments(sliced, Mix([(share(100, models=("mig-1g",)), 1)])) == Fragments(model=free)


MIXES = st.lists(st.tuples(builders.requests(), st.integers(1, 9)), min_size=1, max_size=6)


@given(cluster=builders.clusters(), placed=st.lists(builders.requests(), max_size=6), asked=MIXES)
def test_they_add_up_and_none_is_less_than_nothing(
    cluster: list[Node], placed: list[Request], asked: list[tuple[Request, int]]
) -> None:
    ledger, mix = Ledger(cluster), Mix(asked)
    for number, request in enumerate(placed):
        found = Packer(ledger.columns, "best-fit").place(request)
        if found is not None:
            ledger.reserve(pod(f"p{number}", request), found)
    lost = fragments(ledger.columns, mix)
    assert min(lost.devices, lost.cpu, lost.model, lost.none) >= 0
    whole_sum = int(mix.fragmented(ledger.columns, slice(None)).sum()) // mix.total
    assert lost.milli == whole_sum <= int(np.maximum(ledger.columns.room, 0).sum())
