"""One look at a cluster, by the code that `serve` runs: what is there, and what it would decide.

Nothing is written, and no way to a running `serve` is needed: who may read pods, nodes, namespaces,
volumes and our resources may look. Where what says how large a gang is may not be read, its pods
are said to wait for that.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from scheduler import http
from scheduler.cli.assembly import Assembly, assemble
from scheduler.cli.installation import settings_of
from scheduler.cli.running import running
from scheduler.clock import SystemClock
from scheduler.controller.queue import waiting
from scheduler.controller.rounds import profile_of
from scheduler.core.cycle.latest import Latest, latest
from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.cycle.standing import stand
from scheduler.core.cycle.withdrawal import Withdrawal, withdraw
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.plans import Admit, Hold, Plan
from scheduler.core.model.podreader import PodJSON, read_pod
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Standing
from scheduler.core.model.stored import mapping
from scheduler.core.model.verdicts import Verdict
from scheduler.core.packing.packer import Packer
from scheduler.core.packing.policies import BID_PRICE
from scheduler.kube.client import Client
from scheduler.kube.ownerbook import Read, reading
from scheduler.kube.paging import list_all
from scheduler.kube.resources import PODS
from scheduler.pricing.fitting import fit
from scheduler.settings import Settings

PAGE = 500


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at `at` (seconds since the epoch); `pods` by namespace/name."""

    parts: Assembly
    settings: Settings
    at: float
    pods: Mapping[str, PodJSON]
    namespace: str

    def decide(self, *more: Pod) -> Plan:
        """Return what a round would decide now, about those that wait and about some more."""
        tree = self.parts.controller.tree.with_users(pod.tenant for pod in more)
        seen = replace(self.snapshot, tenants=tuple(tree.tenants.values()))
        return run_cycle(seen, self._waiting(*more), self.at, self.profile)

    def latest(self, pod: Pod) -> Latest:
        """Return when a waiting pod, its tenant's next, starts at the latest."""
        return latest(
            self.snapshot,
            self._waiting(),
            pod,
            self.at,
            self.profile,
        )

    @property
    def snapshot(self) -> Snapshot:
        """What a round would decide on, but for what the rounds before left in memory."""
        return self.parts.controller.snapshot()

    @property
    def running(self) -> Snapshot:
        """The same with who runs, whether a round would look at that or not."""
        return self.parts.controller.snapshot(everybody=True)

    @property
    def pods_in_line(self) -> Collection[Pod]:
        """Those that wait for their turn."""
        return self.parts.controller.queue.pods.values()

    @property
    def profile(self) -> Profile:
        """How rounds would decide, until nobody's turn is left: none of what they say is sent."""
        mixer = self.parts.controller.mixer
        if self.settings.packing.policy == BID_PRICE and mixer.prices_are_old:
            # As `serve` does beside its rounds; it has seen more than what is here now.
            mixer.price(fit(self.parts.ledger.columns, dict(mixer.to_be_priced().weights)))
        return replace(profile_of(self.settings, self.parts.controller.mixer.mix), backlog=None)

    def read(self, pod: PodJSON) -> Pod:
        """Return what `serve` would make of a pod."""
        parts = self.parts
        known = parts.leaf_of, parts.volumes.terms_of, parts.owners.gang_of
        return read_pod(pod, *known)

    def without(self, nodes: Collection[NodeName]) -> Withdrawal:
        """Return whom it would hit to take these nodes away; InvalidInput for one not known."""
        ledger = self.parts.ledger
        for name in nodes:
            if name not in ledger.nodes:
                raise InvalidInput(
                    f"there is no node {name}; `equipoise top` lists those with GPUs"
                )
        everybody = self.parts.controller.snapshot(everybody=True)
        return withdraw(
            ledger,
            everybody,
            pending=self._waiting(),
            names=nodes,
            now=self.at,
            profile=self.profile,
        )

    def objection(self, holding: Holding) -> str | None:
        """Say why no such pod would go to its node now; None if nothing keeps it off."""
        ledger, node = self.parts.ledger, holding.placement.node
        if node not in ledger.nodes:
            return "the node isn't known, or publishes no GPUs"
        if node in ledger.closed or not ledger.nodes[node].open:
            return ledger.closed.get(node) or "it is cordoned"
        row = ledger.columns.row[node]
        return ledger.eligibility.objection(holding.pod.constraints, row, passing=True) or None

    def ranked(self, holding: Holding) -> tuple[tuple[NodeName, int], ...]:
        """Return nodes for such a pod were it not there, and their scores, the best first."""
        ledger, pod, place = self.parts.ledger, holding.pod, holding.placement
        columns = ledger.columns.copy()
        row = columns.row[place.node]
        columns.give(row, place.slots_at(columns.uuids[row]) or (), pod.request)
        profile = self.profile
        packer = Packer(columns, profile.policy, mix=profile.mix)
        return packer.scored(pod.request, among=ledger.eligibility.now(pod.constraints))

    def _waiting(self, *more: Pod) -> list[Pod]:
        return [*self.pods_in_line, *more]

    def standing(self, plan: Plan) -> Standing:
        """Return how everybody stands, by that plan."""
        controller = self.parts.controller
        return stand(
            self.parts.ledger,
            controller.tree,
            plan=plan,
            lags=controller.lags,
            waiting=waiting((hold.pod, hold.verdict) for hold in plan.holds),
            mix=controller.mixer.mix,
            now=self.at,
            used=controller.used,
        )


def still_parts(settings: Settings, read: Read) -> Assembly:
    """Return what `serve` consists of, around an empty ledger, with nothing that carries it out."""
    still = _Still()
    return assemble(
        Ledger(), settings, clock=SystemClock(), applier=still, watcher=still, read=read
    )


async def look(client: Client, settings: Settings) -> Look:
    """Read all that `serve` would follow; raises what Client.get raises."""
    parts, clock = still_parts(settings, reading(client)), SystemClock()
    others = [(resource, sink) for resource, sink in parts.sinks.items() if resource != PODS]
    lists = [list_all(client, resource.list_path(), page=PAGE) for resource, _ in others]
    for (_, sink), (items, _) in zip(others, await asyncio.gather(*lists), strict=True):
        sink.replace(items)
    await parts.settled()
    pods, _ = await list_all(client, PODS.list_path(), page=PAGE)
    parts.feed.replace(pods)
    async with running(parts.owners.run()):
        await parts.owners.told()
    parts.restore_lags(clock.now())
    return Look(parts, settings, clock.now(), {_key(pod): pod for pod in pods}, client.namespace)


def looking(kubeconfig: str | None, context: str | None) -> Look:
    """Find the cluster as kubectl does, and look at it."""

    async def once() -> Look:
        seconds = Settings().kube.timeout_seconds
        async with await Client.connect(
            kubeconfig=kubeconfig, context=context, timeout_seconds=seconds
        ) as client:
            return await look(client, await settings_of(client))

    return http.run(once())


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options by which a cluster is found, and --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text."),
        click.option("--context", metavar="NAME", help="Of the kubeconfig."),
        click.option("--kubeconfig", metavar="FILE", help="As kubectl's."),
    ):
        command = option(command)
    return command


def _key(pod: PodJSON) -> str:
    metadata = mapping(pod, "metadata")
    return f"{metadata.get('namespace')}/{metadata.get('name')}"


class _Still:
    """Carries nothing out, counts nothing."""

    async def release(self, admit: Admit) -> bool:
        return False

    async def hold(self, hold: Hold) -> None:
        pass

    async def warn(self, pod: Pod, verdict: Verdict) -> None:
        pass

    async def remind(self, pod: Pod, node: NodeName) -> None:
        pass

    async def evict(self, pod: Pod, why: Verdict) -> bool:
        return False

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        return False

    async def make_way(self, running: Pod, waiting: Pod) -> bool:
        return False

    def observe_wait(self, tenant: TenantName, seconds: float, *, turn: float) -> None:
        pass

    def count_decision(self, outcome: str, reason: str = "", *, by: int = 1) -> None:
        pass

    def observe_loss(self, pod: Pod, gpu_seconds: float) -> None:
        pass

    def observe_hold(self, reason: str, pod_seconds: float) -> None:
        pass

    def observe_cycle(self, phase: str, seconds: float) -> None:
        pass


def admitted(plan: Plan) -> Mapping[str, Admit]:
    """Return whom the plan lets go, by namespace/name."""
    return {admit.pod.key: admit for admit in plan.admits}


def held(plan: Plan) -> Mapping[str, Sequence[Hold]]:
    """Return who has to wait, by tenant, in the order in which they would be next."""
    found: dict[str, list[Hold]] = {}
    for hold in sorted(plan.holds, key=lambda each: each.pod.turn):
        found.setdefault(hold.pod.tenant, []).append(hold)
    return found
