"""`equipoise explain`: why a pod waits, or why it is where it is."""

import json
import math
from collections.abc import Iterator

import click

from scheduler.cli.look import Look, admitted, cluster_options, held, looking
from scheduler.core.cycle.latest import Latest
from scheduler.core.ledger.holdings import Holding
from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.durations import format_duration
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.plans import Plan
from scheduler.core.model.podreader import gates_of
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Spreading
from scheduler.core.model.standing import TenantStanding, UserStanding
from scheduler.core.model.stored import mapping
from scheduler.core.model.tenants import sharer, tenant_part, user_leaf
from scheduler.core.model.verdicts import Reason
from scheduler.core.packing.policies import POLICIES

NO_USER = "Who names no user"


@click.command("explain")
@click.argument("pod")
@click.option("-n", "--namespace", metavar="NAME", help="Of the pod; the context's by default.")
@cluster_options
def explain(
    *, pod: str, namespace: str | None, kubeconfig: str | None, context: str | None, as_json: bool
) -> None:
    """Say why POD (NAME or NAMESPACE/NAME) waits, or why it is where it is."""
    seen = looking(kubeconfig, context)
    key = pod if "/" in pod else f"{namespace or seen.namespace}/{pod}"
    if key not in seen.pods:
        raise InvalidInput(f"there is no pod {key}; name it as NAMESPACE/NAME, or give -n")
    lines = list(sentences(seen, key))
    click.echo(json.dumps({"pod": key, "says": lines}, indent=2) if as_json else "\n".join(lines))


def sentences(seen: Look, key: str) -> Iterator[str]:
    """Say all there is to say about a pod that is there."""
    stored = seen.pods[key]
    pod = seen.read(stored)
    if pod.problem:
        yield f"{key}: its request can't be read: {pod.problem}."
        return
    yield f"{key} asks for {pod.request.describe()}, as {sharer(pod.tenant)}."
    holding = seen.parts.ledger.holdings.get(PodUID(pod.uid))
    if mapping(stored, "status").get("phase") in ("Succeeded", "Failed"):
        yield "It has ended, and holds nothing any more."
    elif holding is not None:
        yield from _placed(seen, holding)
    elif gates_of(stored):
        yield from _in_line(seen, pod)
    else:
        yield "It isn't behind Equipoise's gate and holds no GPU: kube-scheduler looks for a node."


def _whose(leaf: TenantName) -> str:
    return "its tenant" if leaf == tenant_part(leaf) else "its user"


def _placed(seen: Look, holding: Holding) -> Iterator[str]:
    place, ledger = holding.placement, seen.parts.ledger
    state = "runs" if holding.bound else "has a place reserved"
    yield f"It {state} on node {place.node}."
    for slot in place.slots:
        others = sorted(
            other.pod.key
            for other in ledger.holdings.values()
            if other.pod.uid != holding.pod.uid
            and slot.uuid in {each.uuid for each in other.placement.slots}
        )
        beside = f", beside {', '.join(others[:5])}" if others else ", alone there"
        yield (
            f"GPU {slot.index} ({slot.uuid}): {format_gpus(slot.milli)} of it and "
            f"{slot.memory_mib} MiB{beside}."
        )
    if place.slots:
        yield _why_there(seen, holding)


def _why_there(seen: Look, holding: Holding) -> str:
    """Say what the policy finds of its place now, beside the others."""
    node, spreads = holding.placement.node, holding.pod.request.spreading is Spreading.SPREAD
    policy = "spread" if spreads else seen.settings.packing.policy
    if POLICIES[policy].by_chance:
        return f'Chosen by policy "{policy}": by chance, of the places that fitted.'
    tells = POLICIES[policy].tells
    if (why := seen.objection(holding)) is not None:
        return f'Chosen by policy "{policy}"; nothing new goes there at present: {why}.'
    ranked = seen.ranked(holding)
    scores = dict(ranked)
    if node not in scores:
        return f'Chosen by policy "{policy}"; such a pod would find too little room there now.'
    others = [each for each in ranked if each[0] != node]
    if not others:
        return f'Chosen by policy "{policy}": no other node has room for it now.'
    name, score = others[0]
    if scores[node] >= score:
        return (
            f'Chosen by policy "{policy}", which finds none of {len(ranked)} nodes better now: '
            f"{tells(scores[node])}; next comes {name}: {tells(score)}."
        )
    return (
        f'Chosen by policy "{policy}". As things stand now it would choose {name}: '
        f"{tells(score)}; here: {tells(scores[node])}."
    )


def _in_line(seen: Look, pod: Pod) -> Iterator[str]:
    plan = seen.decide()
    admit = admitted(plan).get(pod.key)
    if admit is not None:
        yield f"Its turn has come: it goes to node {admit.placement.node} with the next round."
        return
    line = held(plan).get(pod.tenant, ())
    for number, hold in enumerate(line, start=1):
        if hold.pod.uid == pod.uid:
            yield f"It waits, as number {number} of {len(line)} of {_whose(pod.tenant)}: "
            yield f"{hold.verdict.sentence}."
            if number == 1 and hold.verdict.reason in (Reason.WAITS_FOR_TURN, Reason.NO_ROOM):
                yield _at_the_latest(seen.latest(hold.pod))
    yield from _standing_of(seen, plan, pod)


def _at_the_latest(found: Latest) -> str:
    if math.isinf(found.seconds):
        return (
            "Nothing bounds its wait: nobody holds enough beyond its due to be stopped for it, and "
            "jobs may run for as long as they like; a maxRuntime of the tenants would bound it."
        )
    wait = format_duration(found.seconds)
    if not found.victims:
        return f"It starts within {wait} at the latest: that is when its turn has come."
    whose = sorted({tenant_part(each.tenant) for each in found.victims})
    few = "a pod" if len(found.victims) == 1 else f"{len(found.victims)} pods"
    return f"It starts within {wait} at the latest: {few} of {', '.join(whose)} would be stopped."


def _standing_of(seen: Look, plan: Plan, pod: Pod) -> Iterator[str]:
    standing, tenant = seen.standing(plan), tenant_part(pod.tenant)
    users = [each for each in standing.users if user_leaf(each.tenant, each.name) == pod.tenant]
    found: list[TenantStanding | UserStanding] = [*users]
    found += (each for each in standing.tenants if each.name == tenant)
    for each in found:
        owed = f"is owed {each.lag:.0f}" if each.lag >= 0 else f"is ahead by {-each.lag:.0f}"
        yield (
            f"{each.name or NO_USER} is due {format_gpus(each.fair_share * 1000)} GPUs, has "
            f"{format_gpus(each.allocated * 1000)}, and {owed} GPU-seconds."
        )
