"""Holds what happened in a scenario against what its file expects."""

from collections.abc import Iterable, Iterator
from itertools import combinations

from scheduler.core.model.placements import Placement
from scheduler.simulator.scenarios.runner import Outcome
from scheduler.simulator.scenarios.scenariofile import Expected

ANYWHERE = "*"


def differences(outcome: Outcome) -> tuple[str, ...]:
    """Return what is otherwise than expected, one sentence each; () if nothing is expected."""
    expected = outcome.scenario.expected
    if outcome.needs:
        return (f"not yet supported: it needs {outcome.needs}",)
    if expected is None:
        return ()
    return tuple(_differences(outcome, expected))


def _differences(outcome: Outcome, expected: Expected) -> Iterator[str]:
    bound = outcome.bound
    for pod, node in expected.bound.items():
        yield from _not_there(pod, node, bound.get(pod))
    for pod in bound:
        if pod not in expected.bound:
            yield f"{pod} was bound to {bound[pod].node}, expected to wait"
    for pod, node in expected.still_running.items():
        yield from _not_there(pod, node, outcome.places.get(pod))
    for pod in expected.stay_pending:
        if pod not in outcome.pending and pod not in bound:
            yield f"{pod} is unknown, expected to wait"
    yield from _wrongly_stopped(outcome, expected)
    yield from _on_wrong_gpus(outcome, expected)
    if not outcome.settled:
        yield "later rounds still change something"


def _wrongly_stopped(outcome: Outcome, expected: Expected) -> Iterator[str]:
    for pod in outcome.evicted:
        if pod not in expected.evicted:
            yield f"{pod} was stopped, expected to run on"
    for pod in expected.evicted:
        if pod not in outcome.evicted:
            yield f"{pod} was not stopped, expected to be"


def _not_there(pod: str, node: str, place: Placement | None) -> Iterator[str]:
    if place is None:
        yield f"{pod} does not run, expected on {'any node' if node == ANYWHERE else node}"
    elif node not in (ANYWHERE, place.node):
        yield f"{pod} runs on {place.node}, expected on {node}"


def _on_wrong_gpus(outcome: Outcome, expected: Expected) -> Iterator[str]:
    for one, other in _pairs(expected.same_gpu):
        if not _shared(outcome, one, other):
            yield f"{one} and {other} are not on one GPU, expected to be"
    for one, other in _pairs(expected.different_gpu):
        if _shared(outcome, one, other):
            yield f"{one} and {other} are on one GPU, expected not to be"


def _pairs(groups: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    for group in groups:
        yield from combinations(group, 2)


def _shared(outcome: Outcome, one: str, other: str) -> bool:
    places = [outcome.places[pod] for pod in (one, other) if pod in outcome.places]
    devices = [{slot.uuid for slot in place.slots} for place in places]
    return len(devices) == 2 and bool(devices[0] & devices[1])
