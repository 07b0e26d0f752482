"""What is worked out for one row by itself is what arrays say of it: fit, shares and score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.nodes import Node
from scheduler.core.model.requests import Request
from scheduler.core.packing.fit import allowed_models, candidates
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import POLICIES
from scheduler.core.packing.prices import GPU, Bids
from scheduler.core.packing.single import Single, look
from tests.support import builders
from tests.support.builders import by_memory, cpu_only, pod, share, whole

ASKED = [share(500), share(250), whole(1), whole(2), share(100, 2), by_memory(8_000), cpu_only()]
RENTS = ((share(500), 0), (share(250), GPU // 5), (whole(1), GPU // 3), (by_memory(8_000), 10**7))
MIX = Mix(Mix.of(ASKED * 3).weights, [Bids(RENTS), Bids(RENTS[1:])])
SINGLE = [name for name, policy in POLICIES.items() if policy.one]


def test_the_policies_that_place_most_have_a_score_of_one_row() -> None:
    assert SINGLE == ["best-fit", "fgd", "bid-price"]


@pytest.mark.parametrize("policy", SINGLE)
@settings(max_examples=150, deadline=None)
@given(
    cluster=builders.clusters(),
    placed=st.lists(builders.requests(), max_size=8),
    request=builders.requests(),
)
def test_one_row_is_seen_as_many_are(
    policy: str, cluster: list[Node], placed: list[Request], request: Request
) -> None:
    ledger = Ledger(cluster)
    columns, packer = ledger.columns, Packer(ledger.columns, "best-fit")
    for number, each in enumerate(placed):
        if (place := packer.place(each)) is not None:
            ledger.reserve(pod(f"p{number}", each), place)
    mix, chosen = MIX.twin(), POLICIES[policy]
    assert chosen.one is not None
    may = allowed_models(columns, request).tolist()
    for row in range(len(columns.names)):
        seen = candidates(columns, np.array([row]), request)
        alone = look(columns, Single.of(columns, row), request, may)
        assert (alone is not None) == bool(seen.nodes[0])
        if alone is None:
            continue
        fits = seen.devices[0] if request.devices else seen.devices[0][:0]
        milli = np.broadcast_to(seen.milli, seen.devices.shape)[0]
        assert (
            list(alone.milli)
            == [int(m) if f else 0 for m, f in zip(milli, fits, strict=False)][: len(alone.milli)]
        )
        score, of_one = chosen.score(columns, seen, mix)[0], chosen.one(columns, alone, mix)
        if isinstance(of_one, int):
            assert int(score) == of_one
        else:
            assert [of_one[at] for at in alone.fitting()] == [
                int(score[at]) for at in alone.fitting()
            ]
