"""Settings: one frozen dataclass a concern. Built once, at the composition root, and passed in."""

from dataclasses import dataclass, field

from scheduler.core.model import names
from scheduler.core.model.gangowners import ASK, OwnerPaths


@dataclass(frozen=True, slots=True)
class Fairness:
    """Turns between tenants; see docs/concepts/fairness.md.

    `horizon_seconds`: how far ahead a GPU that is handed out counts, so that one tenant can't take
    all that is free at one moment. `lookahead`: how many requests of a tenant are tried when its
    first one doesn't fit. `credit_seconds`: the most credit a tenant keeps, in seconds of its own
    share. `half_life_seconds`: how fast lag is forgotten; None, the default, forgets nothing.
    `reserve_seconds`: a request that has been its tenant's next for so long in vain has GPUs kept
    free for it as they drain; None: never.
    """

    horizon_seconds: float = 300.0
    lookahead: int = 20
    credit_seconds: float = 14_400.0
    half_life_seconds: float | None = None
    reserve_seconds: float | None = 900.0


@dataclass(frozen=True, slots=True)
class Reclaim:
    """When running pods are stopped for waiting ones; see docs/concepts/fairness.md.

    `patience_seconds`: so long a request has been its tenant's next in vain before; None: never
    are any. `min_runtime_seconds`: none is stopped that has run for less; `turn_runtime_seconds`:
    nor for less than that, if its tenant were left with a smaller part of its due than the other
    one has, as tenants are that take turns. `budget_seconds`: a PodDisruptionBudget delays it by so
    much at most, then the pod is deleted. `grace_seconds`: the longest that a pod that is stopped
    may take to end, whatever grace period it asks for. `broken_gang_seconds`: what is left of a
    gang that lacks members for so long is stopped; longer than it takes to stop others for it.
    """

    patience_seconds: float | None = 120.0
    min_runtime_seconds: float = 120.0
    turn_runtime_seconds: float = 3600.0
    budget_seconds: float = 60.0
    grace_seconds: float = 60.0
    broken_gang_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Packing:
    """Where pods go. `policy` is a name in `core.packing.policies.POLICIES`.

    What people ask for is counted: after `remembered_requests` each one counts half. Of policy
    bid-price: once `prices_after` more was asked for, as a part of what is remembered, or the
    cluster has changed by a quarter, prices are worked out anew. `consolidate_seconds`: so long a
    request has been its tenant's next in vain before running pods are moved for it (stopped, and
    made again elsewhere), `consolidate_moves` a round at most; None: never are any. `topology`:
    labels of nodes, from wide to narrow; a gang's pods sit as near as they can.
    """

    policy: str = "bid-price"
    remembered_requests: int = 40_000
    prices_after: float = 0.25
    consolidate_seconds: float | None = None
    consolidate_moves: int = 16
    topology: tuple[str, ...] = (
        "topology.kubernetes.io/zone",
        "network.topology.nvidia.com/core",
        "network.topology.nvidia.com/spine",
        "network.topology.nvidia.com/leaf",
        "topology.kubernetes.io/rack",
    )


@dataclass(frozen=True, slots=True)
class Gangs:
    """What makes pods that start together; see docs/concepts/gangs.md.

    `owners`: kinds of objects beside JobSet, LeaderWorkerSet and Job, each with its `api_version`,
    `kind` and `resource` (the plural in paths of the API). `parts`: paths to what makes pods that
    are alike, such as "spec.workers.*"; `counts`: paths from there to whole numbers, which are
    multiplied, one that is missing is 1; `template`: the path from there to the pods' template, by
    which those without a GPU are left out, "" for none. `label`: the pods' label that names the
    object, "" where they have it as their controller. `ask`: kinds of all these whose pods start
    together only where they ask for it by their gang-size. `look_seconds`: an object is read again
    after so long, or once pods of it come or go.
    """

    owners: tuple[OwnerPaths, ...] = ()
    ask: tuple[str, ...] = ASK
    look_seconds: float = 30.0


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
class Kube:
    """The side towards the API server.

    `namespace` is where Equipoise itself runs. `in_flight` is how many writes are under way at
    once. With `backlog` pods on their way past their gates a round gives nobody else a turn; it
    goes on once half of those are through. `timeout_seconds` is the most that one request may take;
    a watch is exempt. `page` is how many objects one list request asks for.
    `stuck_seconds`: a released pod that none of its nodes took for so long is evicted, so that its
    owner makes it again. `rollout_seconds`: so long a Deployment's new revision waits at its
    tenant's limit before a pod of the old one is evicted for it, and for each further one.
    `status_seconds`: a Tenant's or GPUNode's status is written at most so often. While pods come
    and go GPUNodes take turns, one in two seconds or more, so that each is told in 17 minutes.
    """

    namespace: str = names.NAMESPACE
    in_flight: int = 32
    backlog: int = 2000
    timeout_seconds: float = 10.0
    page: int = 500
    stuck_seconds: float = 60.0
    rollout_seconds: float = 30.0
    status_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Leadership:
    """Which of several replicas acts; see docs/decisions/0005-who-acts.md.

    `url` is where the kube-scheduler beside us serves its metrics; "" means that there is one
    replica only, which always acts. `lease` is the name of its Lease, `lease_seconds` and
    `renew_seconds` are that scheduler's leaseDuration and renewDeadline.
    """

    url: str = ""
    lease: str = "equipoise-scheduler"
    poll_seconds: float = 1.0
    lease_seconds: float = 10.0
    renew_seconds: float = 6.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Admission: the one listener with TLS.

    `take_over`: schedulerNames of others whose pods become ours, such as "kai-scheduler".
    `runtime_class`: what pods with a share get as runtimeClassName where they name none; "" sets
    none. `certificates`: a folder with tls.crt and tls.key (and ca.crt) made by somebody else, such
    as cert-manager; "" makes and rotates them ourselves, for the names of `service` and `names`.
    `driver_limits`: the driver of every managed node can limit memory. `grant_seconds`: a pod that
    is created while nobody waits has its place at once, which is kept for so long until the pod is
    there; None: each waits behind its gate for a round. `label_users`: pods with a request that
    people create themselves are labelled with their names, by which tenants that are shared by user
    tell them apart. `enabled` False serves none.
    """

    enabled: bool = True
    host: str = "0.0.0.0"
    port: int = 8443
    service: str = "equipoise-webhook"
    take_over: tuple[str, ...] = ()
    runtime_class: str = ""
    driver_limits: bool = False
    grant_seconds: float | None = 10.0
    label_users: bool = False
    certificates: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """What runs on every GPU node; docs/reference/agent.md.

    `host` and `port`: its metrics and health. `proc`: where the host's /proc is. `serves`: how this
    node limits a pod's memory, "mps" or "driver-limits". The driver is asked every `read_seconds`,
    may take `answer_seconds`, and after `silent_seconds` without an answer all its devices are
    reported as not healthy. Measured use is written every `use_seconds` at most, if the load of a
    device moved by `moved_permille` or its memory by `moved_mib`, else every `heartbeat_seconds`. A
    pod may hold `tolerance_mib` more of a device than it was promised, for the context of a program
    that allocates all of its promise (518 MiB were seen); after `grace_seconds` above that it gets
    an Event, and after `evict_seconds` it is evicted; None, the default, never.
    """

    host: str = "0.0.0.0"
    port: int = 8802
    proc: str = "/proc"
    serves: tuple[str, ...] = ()
    read_seconds: float = 5.0
    answer_seconds: float = 30.0
    silent_seconds: float = 60.0
    use_seconds: float = 15.0
    heartbeat_seconds: float = 60.0
    moved_permille: int = 50
    moved_mib: int = 64
    tolerance_mib: int = 768
    grace_seconds: float = 60.0
    evict_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """What rounds saw and decided, for `equipoise replay`; see docs/reference/journal.md.

    `path`: a file; "", the default, writes none. Past so many `megabytes` (MiB) it is renamed to
    PATH.1, over the one before, and begun anew.
    """

    path: str = ""
    megabytes: int = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    fairness: Fairness = field(default_factory=Fairness)
    reclaim: Reclaim = field(default_factory=Reclaim)
    packing: Packing = field(default_factory=Packing)
    gangs: Gangs = field(default_factory=Gangs)
    extender: Extender = field(default_factory=Extender)
    web: Web = field(default_factory=Web)
    kube: Kube = field(default_factory=Kube)
    leadership: Leadership = field(default_factory=Leadership)
    webhook: Webhook = field(default_factory=Webhook)
    agent: Agent = field(default_factory=Agent)
    journal: Journal = field(default_factory=Journal)
