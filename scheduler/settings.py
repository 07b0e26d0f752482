"""Settings: one frozen dataclass a concern. Built once, at the composition root, and passed in."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fairness:
    """Turns between tenants; see docs/concepts/fairness.md.

    `horizon_seconds`: how far ahead a GPU that is handed out counts, so that one tenant can't take
    all that is free at one moment. `lookahead`: how many requests of a tenant are tried when its
    first one doesn't fit. `credit_seconds`: the most credit a tenant keeps, in seconds of its own
    share. `half_life_seconds`: how fast lag is forgotten; None, the default, forgets nothing.
    """

    horizon_seconds: float = 120.0
    lookahead: int = 20
    credit_seconds: float = 3600.0
    half_life_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Packing:
    """Where pods go. `policy` is a name in `core.packing.policies.POLICIES`."""

    policy: str = "fgd"


@dataclass(frozen=True, slots=True)
class Extender:
    """The side towards kube-scheduler. Loopback only: its caller is in the same pod.

    `reservation_seconds` ends a booking that filter made by itself and nobody bound.
    `bind_seconds` is the most that one bind may take; below kube-scheduler's `httpTimeout` of 5 s.
    `keep_alive_seconds` must exceed the 90 s after which kube-scheduler drops an idle connection.
    """

    host: str = "127.0.0.1"
    port: int = 8801
    reservation_seconds: float = 30.0
    bind_seconds: float = 4.0
    keep_alive_seconds: int = 120


@dataclass(frozen=True, slots=True)
class Web:
    """Status page, JSON, metrics and health. It shows all tenants: for admins."""

    host: str = "127.0.0.1"
    port: int = 8800


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    fairness: Fairness = field(default_factory=Fairness)
    packing: Packing = field(default_factory=Packing)
    extender: Extender = field(default_factory=Extender)
    web: Web = field(default_factory=Web)
