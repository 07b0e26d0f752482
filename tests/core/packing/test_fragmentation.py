"""Fragmentation against its definition, written out request by request in floats.

Definition: Weng et al., "Beware of Fragmentation" (USENIX ATC'23), section 3.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Slot
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from tests.support.builders import cpu_only, device, node, place, pod, share, whole

Weights = Sequence[tuple[Request, int]]


def fragmented(
    free: Sequence[int], free_cpu: int, models: Sequence[str], weights: Weights
) -> float:
    """Return F of one node whose devices all are of one model: Σ p·f over the weights."""
    total = sum(free)
    mass = sum(count for _, count in weights)
    amount = 0.0
    for request, count in weights:
        allowed = not request.models or set(models) <= set(request.models)
        fitting = [room for room in free if room >= request.milli]
        unusable = float(total)
        if (
            request.devices
            and allowed
            and len(fitting) >= request.devices
            and free_cpu >= request.cpu_milli
        ):
            unusable = sum(room for room in free if room < request.milli)
        amount += count / mass * unusable
    return amount


MODELS = ("T4", "A10")
SIZES = st.sampled_from([100, 250, 300, 500, 900])
ASKED = st.one_of(
    st.builds(
        share,
        SIZES,
        st.sampled_from([1, 1, 1, 2]),
        cpu_milli=st.sampled_from([0, 1_000, 4_000]),
        models=st.sampled_from([(), (), ("T4",), ("A10", "T4")]),
    ),
    st.builds(whole, st.integers(1, 4), cpu_milli=st.sampled_from([0, 0, 4_000])),
    st.builds(cpu_only, st.sampled_from([0, 1_000])),
)
PLAIN = ASKED.filter(lambda asked: asked.devices < 2 or asked.whole)
"""Without shares of several devices, for which scores are worked out in another way."""
MIXES = st.sampled_from([ASKED, PLAIN]).flatmap(
    lambda asked: st.lists(
        st.tuples(asked, st.integers(1, 9)), min_size=1, max_size=6, unique_by=repr
    )
)


@st.composite
def states(draw: st.DrawFn) -> Ledger:
    """Draw nodes of one model each with anything from 0 to 1000 milli taken of each device."""
    nodes = [
        node(
            f"n{number}",
            draw(st.integers(1, 4)),
            model=draw(st.sampled_from(MODELS)),
            cpu_milli=draw(st.sampled_from([2_000, 8_000])),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    ledger = Ledger(nodes)
    for each in nodes:
        for index, card in enumerate(each.devices):
            taken = draw(st.sampled_from([0, 0, 0, 0, 0, 0, 100, 400, 500, 750, 1000]))
            if taken:
                slot = Slot(index, card.uuid, taken, card.memory_mib * taken // 1000)
                claim = pod(card.uuid, share(taken, cpu_milli=draw(st.sampled_from([0, 500]))))
                ledger.bind(claim, replace(place(each.name), slots=(slot,)))
    return ledger


def states_of(ledger: Ledger, each: Node) -> tuple[list[int], int, list[str]]:
    row = ledger.columns.row[each.name]
    free = ledger.columns.free[row, : len(each.devices)].tolist()
    return free, int(ledger.columns.free_cpu[row]), [card.model for card in each.devices]


@settings(max_examples=200, deadline=None)
@given(ledger=states(), weights=MIXES)
def test_fragmentation_is_what_its_definition_says(ledger: Ledger, weights: Weights) -> None:
    mix = Mix(weights)
    told = mix.fragmented(ledger.columns, slice(None)) / mix.total
    slow = [fragmented(*states_of(ledger, each), weights) for each in ledger.nodes.values()]
    assert told.tolist() == pytest.approx(slow, abs=1e-6)


@settings(max_examples=400, deadline=None)
@given(ledger=states(), weights=MIXES, request=st.one_of(ASKED, st.builds(share, SIZES)))
def test_fgd_chooses_what_trying_every_place_would(
    ledger: Ledger, weights: Weights, request: Request
) -> None:
    tried = {
        each.name: gains
        for each in ledger.nodes.values()
        if (gains := gains_on(ledger, each, request, weights))
    }
    seen = candidates(ledger.columns, slice(None), request)
    score = POLICIES["fgd"].score(ledger.columns, seen, Mix(weights))
    score = score.reshape(len(ledger.nodes), -1).max(axis=1)
    for name, gains in tried.items():
        # Truncated to whole points, so a hair's breadth may be one point.
        slow = 100 / (1 + math.exp(-max(gains) / 1000))
        assert slow - 1 - 1e-6 <= score[ledger.columns.row[name]] <= slow + 1e-6
    found = Packer(ledger.columns, "fgd", mix=Mix(weights)).place(request)
    assert (found is None) == (not tried)
    if found is not None:
        best = max(score[ledger.columns.row[name]] for name in tried)
        first = min(ledger.columns.row[n] for n in tried if score[ledger.columns.row[n]] == best)
        assert found.node == ledger.columns.names[first]


def gains_on(ledger: Ledger, each: Node, request: Request, weights: Weights) -> list[float]:
    """F before less F after, for each device of a share, or for the devices it would get."""
    free, free_cpu, models = states_of(ledger, each)
    fits = [index for index, room in enumerate(free) if room >= request.milli]
    named = not request.models or set(models) <= set(request.models)
    if free_cpu < request.cpu_milli or len(fits) < request.devices or not named:
        return []
    tightest = sorted(fits, key=lambda index: (free[index], index))[: request.devices]
    single = request.devices == 1 and not request.whole
    choices = [[index] for index in fits] if single else [tightest]
    before = fragmented(free, free_cpu, models, weights)
    gains = []
    for chosen in choices:
        left = [room - request.milli * (index in chosen) for index, room in enumerate(free)]
        gains.append(before - fragmented(left, free_cpu - request.cpu_milli, models, weights))
    return gains


def test_a_mix_keeps_the_most_frequent_requests() -> None:
    # 6 + 3 of 10 are 90 %; the last one is needed for 95 %, but not for 90 %.
    asked = [share(500)] * 6 + [whole(1)] * 3 + [share(250)]
    assert Mix.of(asked).weights == ((share(500), 6), (whole(1), 3), (share(250), 1))
    assert Mix.of(asked, keep=0.9).weights == ((share(500), 6), (whole(1), 3))


def test_of_equally_frequent_requests_the_larger_comes_first() -> None:
    asked = [share(250), share(500), share(250, cpu_milli=1), whole(2), whole(1)]
    ranked = [request for request, _ in Mix.of(asked, keep=1.0).weights]
    assert ranked == [share(250, cpu_milli=1), whole(2), whole(1), share(500), share(250)]


def test_a_mix_counts_alike_what_differs_in_memory_of_the_node_only() -> None:
    assert Mix.of([share(500), share(500, ram_mib=9)]).weights == ((share(500), 2),)
    assert Mix.of([]).total == 0


def test_a_mix_is_right_on_columns_that_take_the_place_of_others() -> None:
    mix = Mix([(share(500, models=("T4",)), 1)])

    def told(model: str) -> int:
        # Made and thrown away: the next may lie at the same address.
        return int(mix.fragmented(Columns([node("n", 1, model=model)]), slice(None))[0])

    assert [told(model) for model in ("T4", "A10") * 20] == [0, 1000] * 20


def test_a_mix_is_right_when_cards_are_described_anew() -> None:
    mix = Mix([(Request(1, 0, 8_000), 1)])
    columns = Columns([node("n", 1)])
    columns.take(0, place("n", (0, 600, 9_600)).slots, share(600))
    # 8000 MiB are half of 16,000 and don't fit; of 32,000 they are a quarter.
    assert mix.fragmented(columns, slice(None)).tolist() == [400]
    columns.reset(0, node("n", [device("n/0", memory_mib=32_000)]))
    columns.take(0, place("n", (0, 600, 9_600)).slots, share(600))
    assert mix.fragmented(columns, slice(None)).tolist() == [0]
