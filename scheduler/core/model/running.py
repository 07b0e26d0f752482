"""Pods that run, as the question sees them whom to stop, and what one round tells the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import Pod


@dataclass(frozen=True, slots=True)
class Running:
    """A bound pod that holds devices `since` then (seconds). `ending`: it was asked to go."""

    pod: Pod
    placement: Placement
    since: float = 0.0
    ending: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """Devices (by index) of a node that drain for the pod `uid`, `since` then (seconds)."""

    uid: PodUID
    node: NodeName
    devices: tuple[int, ...]
    since: float


@dataclass(frozen=True, slots=True)
class Move:
    """A pod that was stopped then (seconds) for the `taker`, to be made again.

    Its new place is kept for it.
    """

    pod: Pod
    place: Placement
    since: float
    taker: PodUID


@dataclass(frozen=True, slots=True)
class Ordered:
    """So many pods were moved by a tenant's order that stands `until` then (seconds)."""

    until: float
    moves: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What a round leaves to the next one; without it nothing is lost but time.

    `blocked`: since when (seconds) pods have been next, though nothing had room for them.
    `short`: since when a leaf lacks room for so many more requests than its first one, though they
    fit into its share. `given_up`: nodes on which devices were reserved for a pod in vain.
    `whole`: gangs all of whose members had a place once; `broken`: since when (seconds) gangs that
    run lack members. `moves`: who is being moved. `ordered`: what came of tenants' orders.
    """

    blocked: Mapping[PodUID, float] = field(default_factory=lambda: MappingProxyType({}))
    reservations: tuple[Reservation, ...] = ()
    short: Mapping[TenantName, tuple[float, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    given_up: Mapping[PodUID, frozenset[NodeName]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    whole: frozenset[str] = frozenset()
    broken: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    moves: tuple[Move, ...] = ()
    ordered: Mapping[TenantName, Ordered] = field(default_factory=lambda: MappingProxyType({}))
