"""A plan as parts of a line: what was decided, and of the rest what changed since the plan before.

Pods are named by UID: those that wait are among the inputs, those that run among the holdings.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from scheduler.core.journal.changes import apply, changes
from scheduler.core.journal.codec import decode, encode
from scheduler.core.journal.holds import pack, unpack
from scheduler.core.journal.inputs import Inputs
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.plans import Admit, Evict, Lack, Plan
from scheduler.core.model.running import Memory
from scheduler.core.model.verdicts import Verdict

Line = Mapping[str, Any]


def parts(plan: Plan, before: Plan, remembered: Memory) -> Iterator[tuple[str, Any]]:
    """Return the parts as JSON by name; the round began with what was `remembered`."""
    if plan.admits:
        yield "admits", [_admitted(admit) for admit in plan.admits]
    if plan.evicts:
        yield "evicts", [_evicted(evict) for evict in plan.evicts]
    if plan.holds != before.holds:
        yield "holds", pack(plan.holds, before.holds)
    for name in ("shares", "demand"):
        changed = dict(changes(getattr(before, name), getattr(plan, name)))
        if changed:
            yield name, encode(changed)
    if plan.lacks != before.lacks:
        yield "lacks", encode(plan.lacks)
    if plan.memory != remembered:
        yield "leaves", encode(plan.memory)


def plan_of(line: Line, before: Plan, inputs: Inputs) -> Plan:
    """Return the plan that `parts` told; raise InvalidInput and what wrong types raise."""
    shares, demand = dict(before.shares), dict(before.demand)
    apply(shares, line.get("shares", {}), Fraction)
    apply(demand, line.get("demand", {}), Fraction)
    remembered = inputs.snapshot.memory
    return Plan(
        admits=tuple(_admit(each, inputs) for each in line.get("admits", ())),
        holds=unpack(line["holds"], before.holds, inputs.pending)
        if "holds" in line
        else before.holds,
        shares=shares,
        demand=demand,
        lacks=decode(tuple[Lack, ...], line["lacks"]) if "lacks" in line else before.lacks,
        evicts=tuple(_evict(each, inputs) for each in line.get("evicts", ())),
        memory=decode(Memory, line["leaves"]) if "leaves" in line else remembered,
    )


def _admitted(admit: Admit) -> dict[str, Any]:
    said = {"pod": admit.pod.uid, "placement": encode(admit.placement)}
    return {**said, "alternatives": list(admit.alternatives)} if admit.alternatives else said


def _admit(raw: Line, inputs: Inputs) -> Admit:
    return Admit(
        _named(raw["pod"], inputs.pending),
        decode(Placement, raw["placement"]),
        decode(tuple[NodeName, ...], raw.get("alternatives", [])),
    )


def _evicted(evict: Evict) -> dict[str, Any]:
    said = {"pod": evict.pod.uid, "verdict": encode(evict.verdict)}
    return said if evict.taker is None else {**said, "taker": evict.taker.uid}


def _evict(raw: Line, inputs: Inputs) -> Evict:
    held = {
        uid: inputs.holdings[uid].pod for uid in (PodUID(raw["pod"]),) if uid in inputs.holdings
    }
    return Evict(
        _named(raw["pod"], held),
        _named(raw["taker"], inputs.pending) if "taker" in raw else None,
        decode(Verdict, raw["verdict"]),
    )


def _named(uid: str, pods: Mapping[PodUID, Any]) -> Any:
    if uid not in pods:
        raise InvalidInput(f"the plan names the pod {uid}, which isn't there")
    return pods[PodUID(uid)]
