"""A trace as work of tenants: its pods come as they came, faster, and run for as long as they ran.

- The nodes are a part of the trace's, drawn evenly from all kinds. Kind by kind, each goes to the
  owner who has the least of its part of the GPUs so far.
- Only pods that use GPUs, ran in the trace and fit one of those nodes come. They run for as long
  as in the trace, `longest_hours` at most.
- All times of arrival are multiplied by one number, so that a pass through the trace takes the time
  in which the GPUs, all in use, could do 1 ÷ `load` of its work. Then the next pass begins.
- In an order drawn by the seed, each pod of a pass goes to the tenant that has the least of its
  part of the work so far. So parts are met but for a pod, and all tenants have the same mix of
  pods.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from scheduler.core.cycle.capacity import Capacity
from scheduler.core.ledger.columns import Columns
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Node
from scheduler.simulator.traces.lives import Lives
from scheduler.simulator.traces.pieces import Piece, paced
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.turns.tenantsfile import NEARLY, Plan
from scheduler.simulator.turns.workloads import DAY, HOUR, Job, Workload

MOST_JOBS = 1_000_000
"""Where more come in all, something else was meant."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass through a trace on `nodes`; it takes `seconds`. `left_out`: pods that don't come."""

    nodes: tuple[Node, ...]
    pieces: tuple[Piece, ...]
    seconds: float
    left_out: int

    @property
    def gpus(self) -> int:
        """How many GPUs there are."""
        return sum(len(node.devices) for node in self.nodes)


def one_pass(trace: Trace, lives: Lives, plan: Plan) -> Pass:
    """Return what a pass consists of; raise InvalidInput where no pod would come."""
    nodes = owned(part_of(trace.nodes, plan.nodes), plan)
    capacity = Capacity(Columns(nodes))
    able = [
        (lives[pod.name].came, pod.name, pod.request)
        for pod in trace.pods
        if pod.request.devices and pod.name in lives and capacity.counts(pod.request) is not None
    ]
    able.sort(key=lambda each: each[:2])
    able = able[int(len(able) * plan.skip) :]
    if not able:
        raise InvalidInput(
            f"trace {trace.name}: no pod comes that ran on a GPU and fits the nodes; take a "
            "larger part of the nodes, or skip less"
        )
    pieces = [
        Piece(came - able[0][0], request, min(lives[name].ran, plan.longest_hours * HOUR))
        for came, name, request in able
    ]
    scaled, seconds = paced(pieces, gpus=float(capacity.gpus), load=plan.load)
    return Pass(nodes, scaled, seconds, len(trace.pods) - len(able))


def workload(name: str, played: Pass, plan: Plan, seed: int) -> Workload:
    """Return passes until the days are over; raise InvalidInput where far too many jobs come."""
    seconds = plan.days * DAY
    coming = seconds / played.seconds * len(played.pieces)
    if coming > MOST_JOBS:
        raise InvalidInput(
            f"{name}: {coming:,.0f} jobs would come, {MOST_JOBS:,} is the most; take fewer days "
            "or a smaller part of the nodes"
        )
    arrivals = tuple(_arrivals(played, plan, seed))
    return Workload(name, seconds, played.nodes, plan.tenants, {}, lambda _dice: iter(arrivals))


def part_of(nodes: Sequence[Node], part: float) -> tuple[Node, ...]:
    """Return a part of the nodes that have GPUs, evenly from all kinds; one at least."""
    kinds = sorted((node for node in nodes if node.devices), key=_kind)
    count = max(1, round(len(kinds) * part))
    chosen = {kinds[int((at + 0.5) * len(kinds) / count)].name for at in range(count)}
    return tuple(node for node in nodes if node.name in chosen)


def owned(nodes: Sequence[Node], plan: Plan) -> tuple[Node, ...]:
    """Return the nodes with their owners; the rest belongs to nobody."""
    shares: dict[TenantName | None, float] = {
        name: size.owns for size in plan.sizes for name in size.tenants if size.owns
    }
    left = 1 - math.fsum(shares.values())
    if left > NEARLY:
        shares[None] = left
    had = dict.fromkeys(shares, 0)
    found: dict[NodeName, Node] = {}
    for node in sorted(nodes, key=_kind):
        owner = min(shares, key=lambda name: had[name] / shares[name])
        had[owner] += len(node.devices)
        labels = {**node.labels, OWNER_LABEL: owner} if owner else node.labels
        found[node.name] = replace(node, labels=labels)
    return tuple(found[node.name] for node in nodes)


def _kind(node: Node) -> tuple[str, int, int, int, str]:
    return (
        *(node.devices[0].model, len(node.devices)),
        *(node.cpu_milli, node.ram_mib, node.name),
    )


def _arrivals(played: Pass, plan: Plan, seed: int) -> Iterator[tuple[float, Job]]:
    parts = {name: size.work for size in plan.sizes for name in size.tenants}
    had = dict.fromkeys(parts, 0.0)
    for number in range(math.ceil(plan.days * DAY / played.seconds)):
        owners = _owners(played.pieces, parts, had, Random(f"{seed} {number}"))
        for piece, owner in zip(played.pieces, owners, strict=True):
            at = number * played.seconds + piece.at
            if at >= plan.days * DAY:
                return
            yield at, Job(owner, piece.request, piece.seconds)


def _owners(
    pieces: Sequence[Piece],
    parts: dict[TenantName, float],
    had: dict[TenantName, float],
    dice: Random,
) -> list[TenantName]:
    """Say whose each piece is; `had` is the work of each so far, and grows."""
    order = list(range(len(pieces)))
    dice.shuffle(order)
    owners: list[TenantName] = [next(iter(parts))] * len(pieces)
    for at in order:
        owners[at] = owner = min(parts, key=lambda name: had[name] / parts[name])
        had[owner] += pieces[at].work
    return owners
