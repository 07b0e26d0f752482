"""The parts that know a cluster and decide about it, wired: for `serve`, and for a look at one."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.controller.controller import Controller
from scheduler.controller.feed import Feed
from scheduler.controller.grants import Grants
from scheduler.controller.intake import Intake
from scheduler.controller.planner import Planner
from scheduler.controller.ports import Applier, Watcher
from scheduler.core.fairness.spending import Used
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.gangowners import Owners
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.podreader import TenantOf
from scheduler.core.model.tenants import Tenant
from scheduler.kube.budgetline import used_of
from scheduler.kube.namespacebook import NamespaceBook
from scheduler.kube.nodebook import NodeBook
from scheduler.kube.ownerbook import OwnerBook, Read
from scheduler.kube.reflector import Sink
from scheduler.kube.resources import (
    GPUNODES,
    NAMESPACES,
    NODES,
    PODS,
    PVCS,
    PVS,
    TENANTS,
    Resource,
)
from scheduler.kube.status import lags_of
from scheduler.kube.tenantbook import TenantBook
from scheduler.kube.volumebook import VolumeBook
from scheduler.settings import Gangs, Settings

WORKER_ABOVE = 20
"""With more pods than that in line a round is worked out beside the event loop.

100 of them take 70 ms on 5,000 nodes."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """What knows and decides. `sinks` says which resource each part has to be kept in step with.

    `leaf_of`: whose share a pod counts for.
    """

    ledger: Ledger
    controller: Controller
    planner: Planner
    feed: Feed
    intake: Intake
    namespaces: NamespaceBook
    tenants: TenantBook
    grants: Grants
    nodes: NodeBook
    volumes: VolumeBook
    owners: OwnerBook
    leaf_of: TenantOf

    @property
    def sinks(self) -> Mapping[Resource, Sink]:
        """Whom to tell what."""
        return {
            NAMESPACES: self.namespaces,
            TENANTS: self.tenants,
            NODES: self.nodes.nodes,
            GPUNODES: self.nodes.gpunodes,
            PVCS: self.volumes.claims,
            PVS: self.volumes.volumes,
            PODS: self.intake,
        }

    async def settled(self) -> None:
        """Wait until all that was listed is known to those who decide."""
        await self.tenants.told()
        await self.nodes.told()
        await self.intake.told()
        # Who runs is known by its pods, and what it may be stopped with by what they are of.
        await self.owners.told()

    def restore_lags(self, now: float) -> None:
        """Go on with what tenants were owed, and had used, at `now` (seconds) by what is stored."""
        stored = list(self.tenants.stored.values())
        used = {name: Used(*told) for name, told in used_of(stored, now).items()}
        self.controller.restore(lags_of(stored, now), used)


def assemble(
    ledger: Ledger,
    settings: Settings,
    *,
    clock: Clock,
    applier: Applier,
    watcher: Watcher,
    read: Read,
    may_grant: Callable[[], bool] = lambda: False,
) -> Assembly:
    """Wire them around an empty ledger. Nothing is read, decided or written yet.

    `read` reads an object that says how many pods start together.
    `may_grant`: whether pods may be given places now, as far as others have a say in it.
    """
    controller = _following(ledger, settings, clock=clock, applier=applier, watcher=watcher)
    planner = _planner(ledger, controller, settings)

    def retell(namespace: str) -> None:
        # The feed is made from the books that tell it.
        feed.retell(namespace)

    def regroup(uids: Collection[PodUID]) -> None:
        feed.retell_gangs(uids)

    owners = _owners(settings.gangs, read, moved=regroup, clock=clock)
    namespaces, volumes = NamespaceBook(retell), VolumeBook(retell)
    leaf_of = _leaves(controller, namespaces)
    nodes = NodeBook(controller.put_nodes, controller.drop_node, clock=clock)
    grants = controller.grants(
        planner.anywhere,
        seconds=settings.webhook.grant_seconds,
        may=may_grant,
        watcher=watcher,
        tenant_of=leaf_of,
        volumes_of=volumes.terms_of,
        gang_of=owners.gang_of,
    )
    feed = Feed(
        *(controller, ledger, planner),
        tenant_of=leaf_of,
        volumes_of=volumes.terms_of,
        uses_nvidia=nodes.uses_nvidia,
        claim=grants.claim,
        gangs=owners,
    )

    def set_tenants(found: list[Tenant]) -> None:
        controller.set_tenants(found)
        feed.retell_shared()

    told = Intake(feed), namespaces, TenantBook(set_tenants)
    return Assembly(
        *(ledger, controller, planner, feed, *told, grants, nodes, volumes, owners, leaf_of)
    )


def _following(
    ledger: Ledger, settings: Settings, *, clock: Clock, applier: Applier, watcher: Watcher
) -> Controller:
    """One that decides nothing until it is told to."""
    return Controller(
        ledger,
        clock=clock,
        settings=settings,
        applier=applier,
        watcher=watcher,
        worker_above=WORKER_ABOVE,
        active=False,
    )


def _planner(ledger: Ledger, controller: Controller, settings: Settings) -> Planner:
    return Planner(
        ledger,
        policy=settings.packing.policy,
        tree=lambda: controller.caps,
        mix=lambda: controller.mixer.mix,
    )


def _owners(
    settings: Gangs, read: Read, *, moved: Callable[[Collection[PodUID]], None], clock: Clock
) -> OwnerBook:
    kinds = Owners(settings.owners, settings.ask)
    return OwnerBook(kinds, read, moved=moved, clock=clock, seconds=settings.look_seconds)


def _leaves(controller: Controller, namespaces: NamespaceBook) -> TenantOf:
    def leaf_of(namespace: str, user: str) -> TenantName:
        return controller.tree.leaf_of(namespaces.tenant_of(namespace), user)

    return leaf_of
