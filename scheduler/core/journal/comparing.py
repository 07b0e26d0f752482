"""A journaled plan beside the one that its inputs give now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from scheduler.core.cycle.run import run_cycle
from scheduler.core.journal.inputs import Inputs
from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Evict, Plan

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, and what each plan says of it."""

    subject: str
    journaled: str
    replayed: str


def replay(inputs: Inputs) -> Plan:
    """Decide again."""
    return run_cycle(inputs.snapshot, inputs.pending.values(), inputs.now, inputs.profile)


def differences(journaled: Plan, replayed: Plan) -> list[Difference]:
    """Return all of them; none only for plans that are equal to the last fraction."""
    if journaled == replayed:
        return []
    found = list(_between(_told(journaled), _told(replayed)))
    # What was decided is the same then, and what is carried out first isn't.
    return found or [Difference("decisions", "one order", "another order")]


def _between(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Difference]:
    for subject in {**one, **other}:
        before, after = one.get(subject, NOTHING), other.get(subject, NOTHING)
        if before != after:
            yield Difference(subject, before, after)


def stopped(evict: Evict) -> str:
    """Say that a pod was stopped, and for whom."""
    return "stopped" if evict.taker is None else f"stopped for {evict.taker.key}"


def _told(plan: Plan) -> dict[str, str]:
    """Everything that a plan says, in words, by whom it is about."""
    told = {f"pod {admit.pod.key}": admission(admit) for admit in plan.admits}
    told |= {f"pod {each.pod.key}": f"held: {_verdict(each.verdict)}" for each in plan.holds}
    for each in plan.evicts:
        verdict = _verdict(each.verdict)
        told[f"pod {each.pod.key}, running"] = f"{stopped(each)}: {verdict}"
    told |= {f"share of {name}": str(share) for name, share in plan.shares.items()}
    told |= {f"demand of {name}": str(demand) for name, demand in plan.demand.items()}
    told |= _parts("lack", {str(at): lack for at, lack in enumerate(plan.lacks)})
    for part in fields(plan.memory):
        value = getattr(plan.memory, part.name)
        by_key = value if isinstance(value, Mapping) else {each.uid: each for each in value}
        told |= _parts(f"{part.name} of", by_key)
    return told


def admission(admit: Admit) -> str:
    """Say where a pod is let go to."""
    others = f", else {' or '.join(admit.alternatives)}" if admit.alternatives else ""
    return f"admitted to {described(admit.placement)}{others}"


def described(place: Placement) -> str:
    """Say a placement in full: "n1 (GPU 0, GPU-1f3b: 0.5 and 8192 MiB)"."""
    slots = (
        f"GPU {slot.index}, {slot.uuid}: {format_gpus(slot.milli)} and {slot.memory_mib} MiB"
        for slot in place.slots
    )
    return f"{place.node} ({'; '.join(slots)})" if place.slots else str(place.node)


def _verdict(verdict: Any) -> str:
    return f"{verdict.reason}: {verdict.detail}" if verdict.detail else str(verdict.reason)


def _parts(what: str, values: Mapping[Any, Any]) -> dict[str, str]:
    return {f"{what} {key}": _plain(value) for key, value in values.items()}


def _plain(value: Any) -> str:
    return str(sorted(value)) if isinstance(value, frozenset) else str(value)
