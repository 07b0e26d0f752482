"""Any cluster, any request, any history: every place fits, and memory of old scores is exact."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from scheduler.core.packing.prices import GPU, Bids
from tests.support import builders
from tests.support.builders import by_memory, cpu_only, pod, share, whole

EVERY_POLICY = pytest.mark.parametrize("policy", list(POLICIES))
ASKED = Mix.of([share(500), share(250), whole(1), whole(2), by_memory(8_000), cpu_only()] * 3)
RENTS = ((share(500), 0), (share(250), GPU // 5), (whole(1), GPU // 3), (by_memory(8_000), 10**7))
MIX = Mix(ASKED.weights, [Bids(RENTS), Bids(RENTS[1:])])


def found(nodes: list[Node], request: Request, policy: str) -> Placement | None:
    return Packer(Columns(nodes), policy, mix=MIX).place(request)


Event = tuple[str, Request, int, Node]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "give", "put"]),
        builders.requests(),
        st.integers(0, 100),
        st.integers(0, 4).flatmap(lambda number: builders.nodes(f"n{number}")),
    ),
    max_size=12,
)


@EVERY_POLICY
@settings(max_examples=40, deadline=None)
@given(
    cluster=builders.clusters(),
    events=EVENTS,
    asked=st.lists(builders.requests(), min_size=1, max_size=4),
)
def test_what_is_remembered_changes_no_answer_and_every_place_fits(
    policy: str, cluster: list[Node], events: list[Event], asked: list[Request]
) -> None:
    ledger = Ledger(cluster)
    packer, mix = Packer(ledger.columns, policy, mix=MIX), MIX.twin()
    for number, (event, request, seed, another) in enumerate(events):
        happens(ledger, packer, event, number=number, request=request, seed=seed, node=another)
        for each in (*asked, request):
            place = packer.place(each, seed=seed)
            # Neither the packer nor its mix may know anything from before.
            fresh = Packer(ledger.columns, policy, mix=mix.twin())
            assert place == fresh.place(each, seed=seed)
            assert packer.fits(each) == (place is not None)
            if place is not None:
                ledger.reserve(pod("probe", each), place)
                ledger.release(pod("probe").uid)


def happens(
    ledger: Ledger,
    packer: Packer,
    event: str,
    *,
    number: int,
    request: Request,
    seed: int,
    node: Node,
) -> None:
    place = packer.place(request, seed=seed)
    if event == "take" and place is not None:
        ledger.reserve(pod(f"p{number}", request), place)
    elif event == "give" and ledger.holdings:
        uids = sorted(ledger.holdings)
        ledger.release(uids[seed % len(uids)])
    elif event == "put":
        ledger.put_nodes([node])


@EVERY_POLICY
@given(cluster=builders.clusters(), request=builders.requests())
def test_a_place_is_what_was_asked_for(policy: str, cluster: list[Node], request: Request) -> None:
    place = found(cluster, request, policy)
    if place is None:
        return
    (home,) = (each for each in cluster if each.name == place.node)
    assert len(place.slots) == request.devices
    assert [slot.index for slot in place.slots] == sorted({slot.index for slot in place.slots})
    for slot in place.slots:
        card = home.devices[slot.index]
        assert (card.uuid, card.healthy, home.open) == (slot.uuid, True, True)
        assert not request.models or card.model in request.models
        assert not card.mig or (request.whole and card.model in request.models)
        assert card.memory_mib - card.foreign_mib >= slot.memory_mib
        if request.whole:
            assert (slot.milli, slot.memory_mib) == (card.milli, card.memory_mib)
        elif request.memory_mib:
            assert slot.memory_mib == request.memory_mib
            assert slot.milli == max(1, request.memory_mib * 1000 // card.memory_mib)
        else:
            assert slot.milli == request.milli
            assert slot.memory_mib == card.memory_mib * request.milli // 1000


@EVERY_POLICY
@given(cluster=builders.clusters(), request=builders.requests())
def test_no_place_means_that_there_is_none(
    policy: str, cluster: list[Node], request: Request
) -> None:
    fitting = [each.name for each in cluster if fits_empty(each, request)]
    place = found(cluster, request, policy)
    assert (place.node in fitting) if place else not fitting


def fits_empty(node: Node, request: Request) -> bool:
    """Say by hand whether an empty node can take the request."""
    usable = Counter[int]()
    for card in node.devices:
        need = card.memory_mib if request.whole else card.memory_mib * request.milli // 1000
        need = request.memory_mib or need
        named = card.model in request.models if request.models else not card.mig
        shared_slice = card.mig and not request.whole
        room = card.healthy and card.memory_mib - card.foreign_mib >= need
        # Cards that have to be linked are of one group.
        usable[card.link if request.linked else 0] += named and room and not shared_slice
    beside = node.cpu_milli >= request.cpu_milli and node.ram_mib >= request.ram_mib
    if not request.devices:
        # A node with no card that works takes nothing, like one that is closed.
        return node.open and beside and any(card.healthy for card in node.devices)
    return node.open and beside and max(usable.values(), default=0) >= request.devices
