"""The demo's workload: one large tenant with a great backlog, six small ones that come later.

Whoever is stopped is made again, as a Job would make its pod again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

from scheduler.core.model import names
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant

LARGE = TenantName("atlas")
SMALL = tuple(TenantName(f"lab-{letter}") for letter in "abcdef")
SECONDS = "demo.equipoise.dev/seconds"
"""Annotation: how long the pod runs once it is bound."""

LARGE_WEIGHT, SMALL_WEIGHT = 6, 1
LONG_JOBS, LONG_SECONDS, BACKLOG_SECONDS = 13, (90.0, 120.0), 0.5
"""The large tenant's first jobs take a whole GPU each and run for long; the others come then."""

FIRST_ARRIVAL_SECONDS, BETWEEN_ARRIVALS_SECONDS = 3.0, 1.0

_LARGE_KINDS: tuple[tuple[int, Mapping[str, str]], ...] = (
    (6, {names.GPU_FRACTION: "1"}),
    (1, {names.GPU_FRACTION: "2"}),
    (5, {names.GPU_FRACTION: "0.5"}),
    (1, {names.GPU_FRACTION: "0.5", names.GPU_COUNT: "2"}),
    (1, {names.GPU_FRACTION: "1", names.GPU_MODELS: "A100-SXM4-80GB"}),
)
_SMALL_KINDS: tuple[tuple[int, Mapping[str, str]], ...] = (
    (5, {names.GPU_FRACTION: "0.25"}),
    (4, {names.GPU_FRACTION: "0.5"}),
    (2, {names.GPU_MEMORY: "8Gi"}),
    (1, {names.GPU_FRACTION: "0.1"}),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A pod that somebody creates `at` seconds after the start."""

    at: float
    pod: dict[str, Any]


def tenants() -> tuple[Tenant, ...]:
    """Return the large tenant and the small ones; the small ones' weights add up to the large's."""
    large = Tenant(LARGE, weight=Fraction(LARGE_WEIGHT))
    small = (Tenant(name, weight=Fraction(SMALL_WEIGHT), created=1.0) for name in SMALL)
    return (large, *small)


def arrivals(seconds: float, *, seed: int) -> list[Arrival]:
    """Return what arrives in a demo of that length, in order; the same for the same seed."""
    dice = Random(seed)
    listed = list(_backlog(seconds, dice))
    for place, tenant in enumerate(SMALL):
        first = min(FIRST_ARRIVAL_SECONDS + place * BETWEEN_ARRIVALS_SECONDS, seconds / 2)
        listed += _stream(tenant, first, until=seconds, dice=dice)
    return sorted(listed, key=lambda each: each.at)


def again(pod: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return what its owner makes in the place of a pod that was stopped, for the nth time."""
    metadata = pod["metadata"]
    return {**pod, "metadata": {**metadata, "name": f"{metadata['name']}-again{number}"}}


def _backlog(seconds: float, dice: Random) -> Iterator[Arrival]:
    """Long jobs on most GPUs, and more than the whole cluster could finish behind them."""
    for number in range(LONG_JOBS):
        yield Arrival(0.0, _pod(LARGE, f"long-{number}", _LARGE_KINDS[:1], LONG_SECONDS, dice))
    for number in range(60 + int(6 * seconds)):
        pod = _pod(LARGE, f"train-{number}", _LARGE_KINDS, (3.0, 8.0), dice)
        yield Arrival(BACKLOG_SECONDS, pod)


def _stream(tenant: TenantName, first: float, *, until: float, dice: Random) -> Iterator[Arrival]:
    """A burst, then one after the other, a little more than the tenant's due can run."""
    at, number = first, 0
    while at < until:
        yield Arrival(at, _pod(tenant, f"job-{number}", _SMALL_KINDS, (2.0, 6.0), dice))
        number += 1
        if number > 5:
            at += dice.expovariate(1.2)


def _pod(
    tenant: TenantName,
    name: str,
    kinds: tuple[tuple[int, Mapping[str, str]], ...],
    seconds: tuple[float, float],
    dice: Random,
) -> dict[str, Any]:
    kind = dice.choices([notes for _, notes in kinds], [weight for weight, _ in kinds])[0]
    runs = f"{dice.uniform(*seconds):.1f}"
    requests = {"cpu": "1", "memory": "2Gi"}
    return {
        "metadata": {
            "namespace": tenant,
            "name": name,
            "annotations": {**kind, SECONDS: runs},
        },
        "spec": {
            "containers": [
                {"name": "main", "image": "any", "resources": {"requests": requests}},
            ],
        },
    }
