"""`explain`, of a pod that has its place: what the policy finds of it beside the others."""

from dataclasses import replace
from typing import Any

import pytest

from scheduler.cli.explain import sentences
from scheduler.cli.look import Look, still_parts
from scheduler.core.model.gangowners import ObjectRef
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement
from scheduler.core.model.requests import Request, Spreading
from scheduler.settings import Packing, Settings
from tests.support.builders import node, place, pod, share, whole

HALF = ("0.5", share(500))


async def nothing_to_read(ref: ObjectRef) -> dict[str, Any]:
    raise AssertionError(f"{ref} is read, and no pod is of it")


def said(
    nodes: list[Node],
    placement: Placement,
    *,
    policy: str = "best-fit",
    asks: tuple[str, Request] = HALF,
    spread: bool = False,
) -> str:
    """Return the sentence on the choice, for a pod that runs there."""
    settings = Settings(packing=Packing(policy=policy))
    parts = still_parts(settings, nothing_to_read)
    parts.ledger.put_nodes(nodes)
    annotations = {"equipoise.dev/gpu-fraction": asks[0]}
    if spread:
        annotations["equipoise.dev/placement"] = "spread"
    stored = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "p", "annotations": annotations},
        "spec": {"containers": [{"name": "c"}]},
    }
    request = replace(asks[1], spreading=Spreading.SPREAD) if spread else asks[1]
    parts.ledger.bind(pod("p", request), placement)
    for _ in range(8):
        parts.controller.mixer.count(asks[1])
    seen = Look(parts, settings, 0.0, {"ns/p": stored}, "ns")
    return list(sentences(seen, "ns/p"))[-1]


SMALL, LARGE = node("small", 1), node("large", 2)


@pytest.mark.parametrize("policy", ["best-fit", "fgd", "bid-price", "gpu-packing"])
def test_what_is_still_the_best_is_told_with_the_next_one(policy: str) -> None:
    told = said([SMALL, LARGE], place("small", (0, 500, 8_000)), policy=policy)
    assert told.startswith(f'Chosen by policy "{policy}", which finds none of 2 nodes better now: ')
    assert "; next comes large: " in told


def test_what_is_not_the_best_any_more_is_told_too() -> None:
    told = said([SMALL, LARGE], place("large", (0, 500, 8_000)))
    assert told.startswith('Chosen by policy "best-fit". As things stand now it would choose small')
    assert told.endswith("for how full the node gets.")


def test_a_place_without_another_one_chance_and_spreading() -> None:
    here = place("large", (0, 500, 8_000))
    assert "no other node has room for it now" in said([LARGE], here)
    assert "by chance" in said([SMALL, LARGE], here, policy="random")
    assert 'policy "spread", which finds none of 2 nodes better' in said(
        [SMALL, LARGE], here, spread=True
    )


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([SMALL], "the node isn't known, or publishes no GPUs"),
        ([SMALL, replace(LARGE, open=False)], "it is cordoned"),
        ([SMALL, replace(LARGE, closed="its agent is silent")], "its agent is silent"),
    ],
)
def test_where_nothing_new_goes_it_says_why(nodes: list[Node], why: str) -> None:
    told = said(nodes, place("large", (0, 500, 8_000), uuids="large"))
    assert told == f'Chosen by policy "best-fit"; nothing new goes there at present: {why}.'


def test_where_too_little_is_free_by_now_it_says_that() -> None:
    shrunk = replace(LARGE, devices=tuple(replace(d, healthy=False) for d in LARGE.devices))
    told = said([SMALL, shrunk], place("large", (0, 1000, 16_000)), asks=("1", whole(1)))
    assert "would find too little room there now" in told
