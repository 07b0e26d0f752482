"""What Equipoise writes, on a real API server, under its own account and its own policies."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from scheduler.clock import SystemClock
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment, names
from scheduler.core.model.errors import AlreadyAssigned, BindRefused, ReleaseRefused
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.plans import Admit
from scheduler.core.model.podreader import gates_of, pinned_to, read_pod
from scheduler.core.model.pods import Pod, PodRef
from scheduler.core.model.standing import Standing
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.kube import convert
from scheduler.kube.apply import KubeApplier
from scheduler.kube.binder import KubeBinder
from scheduler.kube.client import Client
from scheduler.kube.nodebook import NodeBook
from scheduler.kube.notices import Action, Notices
from scheduler.kube.resources import GPUNODES, NODES, TENANTS
from scheduler.kube.status import Sources, StatusWriter, lags_of
from scheduler.kube.tenantbook import TenantBook
from tests.cluster.hands import running, until
from tests.support import standings
from tests.support.controlplane.api import JSON, STRATEGIC, Api
from tests.support.controlplane.installed import ACCOUNT, NAMESPACE, USER, Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

FOREIGN = "example.com/quota"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
GONE = PodUID("00000000-0000-4000-8000-000000000000")
SEEN = {
    "name": "NVIDIA_VISIBLE_DEVICES",
    "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{names.DEVICES}']"}},
}
"""What the webhook writes into a container."""

_numbers = count(1)


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[list[str]]:
    """Our objects, and three nodes with a zone each: their names."""
    ours = Installation(plane)
    ours.apply(webhook=False)
    found = [
        name
        for zone in "abc"
        for name in plane.nodes(1, gpus=2, prefix=f"apply-{zone}-", labels={"zone": zone})
    ]
    yield found
    ours.close()


@dataclass
class Hands:
    """What writes, as `serve` wires it. `known` is what its watch would show of pods."""

    api: Api
    client: Client
    namespace: str
    nodes: dict[NodeName, Node]
    known: dict[PodUID, JSON]

    def __post_init__(self) -> None:
        self.notices = Notices(
            self.client, pod_of=self.known.get, clock=SystemClock(), instance="serve-0"
        )
        self.applier = KubeApplier(
            self.client,
            pod_of=self.known.get,
            nodes=self.nodes,
            notices=self.notices,
            fence=lambda: None,
            clock=SystemClock(),
            grace_seconds=60,
        )
        self.binder = KubeBinder(self.client, lambda: None)

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def make(self, *, owned: bool = True, gates: tuple[str, ...] = (), **spec: Any) -> Pod:
        """Create a gated pod; no scheduler is there to bind it."""
        metadata: JSON = {
            "name": f"p{next(_numbers)}",
            "annotations": {names.GPU_FRACTION: "0.5"},
            "labels": {"app": "p"},
        }
        if owned:
            metadata["ownerReferences"] = [self._owner()]
        body = {
            "schedulerName": names.SCHEDULER_NAME,
            "schedulingGates": [{"name": gate} for gate in (names.GATE, *gates)],
            "containers": [{"name": "main", "image": "none", "env": [SEEN]}],
        }
        stored = self.api.post(self.pods, {"metadata": metadata, "spec": {**body, **spec}})
        self.known[PodUID(stored["metadata"]["uid"])] = stored
        return read_pod(stored, lambda name, _user: TenantName(name))

    def get(self, pod: Pod) -> JSON:
        return self.api.get(f"{self.pods}/{pod.name}")

    def stored(self, pod: Pod) -> JSON | None:
        return self.api.find(f"{self.pods}/{pod.name}")

    async def release(self, pod: Pod, *places: str) -> bool:
        planned, *others = map(NodeName, places)
        return await self.applier.release(Admit(pod, Placement(planned), tuple(others)))

    def _owner(self) -> JSON:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        there = self.api.find(f"{path}/owner")
        owner = there or self.api.post(path, {"metadata": {"name": "owner"}})
        about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "controller": True}
        return {**about, "uid": owner["metadata"]["uid"]}


@pytest.fixture
async def hands(
    plane: ControlPlane, installed: list[str], api: Api, namespace: str
) -> AsyncIterator[Hands]:
    kubeconfig = plane.service_account(NAMESPACE, ACCOUNT)
    stored = [api.get(NODES.path(name)) for name in installed]
    nodes = {each.name: each for each in (convert.node(found, now=0.0) for found in stored)}
    plane.audit.mark()
    async with await Client.connect(kubeconfig=str(kubeconfig)) as client:
        yield Hands(api, client, namespace, nodes, {})
    assert not plane.audit.entries(user=USER, status=403)


def zone(*zones: str) -> JSON:
    return {"matchExpressions": [{"key": "zone", "operator": "In", "values": list(zones)}]}


def required(*terms: JSON, **more: Any) -> JSON:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [*terms]}, **more}}}


def terms_of(stored: JSON) -> list[JSON]:
    found: list[JSON] = stored["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    return found


def place(node: str) -> Placement:
    return Placement(NodeName(node), (Slot(0, DeviceUUID("GPU-1"), 500, 40_000),))


async def test_a_pod_is_released_in_one_write_to_its_candidates(
    hands: Hands, installed: list[str]
) -> None:
    pod = hands.make()
    before = hands.get(pod)
    assert await hands.release(pod, *installed[:2])
    stored = hands.get(pod)
    assert gates_of(stored) == ()
    assert list(pinned_to(stored)) == installed[:2]
    assert stored["metadata"]["generation"] == before["metadata"]["generation"] + 1
    # A second call finds it done.
    hands.known[pod.uid] = stored
    assert await hands.release(pod, *installed[:2])
    assert hands.get(pod) == stored


@pytest.mark.parametrize(
    ("zones", "candidates", "pins"),
    [
        ([("a",)], "a", "a"),
        ([("a", "b")], "ba", "b"),
        ([("b",), ("a",)], "ab", "ba"),
        ([("c",), ("a", "b")], "ba", "bb"),
        ([("a", "b", "c"), ("a", "b", "c")], "c", "cc"),
    ],
    ids=["one term", "one of two", "two terms", "a term that takes none", "one candidate"],
)
async def test_each_required_term_of_a_pod_gains_one_name(
    hands: Hands, installed: list[str], zones: list[tuple[str, ...]], candidates: str, pins: str
) -> None:
    of = dict(zip("abc", installed, strict=True))
    pod = hands.make(**required(*(zone(*each) for each in zones)))
    assert await hands.release(pod, *(of[each] for each in candidates))
    assert terms_of(hands.get(pod)) == [
        {
            **zone(*own),
            "matchFields": [{"key": "metadata.name", "operator": "In", "values": [of[pin]]}],
        }
        for own, pin in zip(zones, pins, strict=True)
    ]


async def test_other_gates_and_other_affinities_of_a_pod_stay(
    hands: Hands, installed: list[str]
) -> None:
    preferred = {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": zone("b")},
        ]
    }
    pod = hands.make(gates=(FOREIGN,), **required(zone("a"), **preferred))
    assert await hands.release(pod, installed[0])
    stored = hands.get(pod)
    assert gates_of(stored) == (FOREIGN,)
    affinity = stored["spec"]["affinity"]["nodeAffinity"]
    assert affinity | preferred == affinity


async def test_a_pod_whose_affinity_does_not_take_the_planned_node_keeps_its_gate(
    hands: Hands, installed: list[str]
) -> None:
    pod = hands.make(**required(zone("b")))
    with pytest.raises(ReleaseRefused, match="affinity"):
        await hands.release(pod, installed[0])
    assert gates_of(hands.get(pod)) == (names.GATE,)


async def test_a_pod_that_must_not_be_pinned_is_nominated(
    hands: Hands, installed: list[str]
) -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "p"}},
    }
    pod = hands.make(topologySpreadConstraints=[spread])
    assert not pod.pinnable
    assert await hands.release(pod, *installed[:2])
    stored = hands.get(pod)
    assert stored["status"]["nominatedNodeName"] == installed[0]
    assert (gates_of(stored), pinned_to(stored)) == ((), ())


async def test_a_status_that_somebody_wrote_meanwhile_does_not_keep_a_pod(
    hands: Hands, installed: list[str]
) -> None:
    pod = hands.make()
    condition = {"type": "example.com/x", "status": "True"}
    body = {"status": {"conditions": [condition]}}
    hands.api.patch(f"{hands.pods}/{pod.name}/status", body, STRATEGIC)
    assert await hands.release(pod, installed[0])
    assert gates_of(hands.get(pod)) == ()


async def test_a_pod_that_changed_since_its_place_was_chosen_keeps_its_gate(
    hands: Hands, installed: list[str]
) -> None:
    pod = hands.make()
    narrower = {"spec": {"nodeSelector": {"zone": "b"}}}
    hands.api.patch(f"{hands.pods}/{pod.name}", narrower, STRATEGIC)
    with pytest.raises(ReleaseRefused, match="changed since"):
        await hands.release(pod, installed[0])
    assert gates_of(hands.get(pod)) == (names.GATE,)


async def test_a_pod_that_is_gone_or_another_by_now_is_not_released(
    hands: Hands, installed: list[str]
) -> None:
    pod = hands.make()
    hands.api.delete(f"{hands.pods}/{pod.name}")
    assert not await hands.release(pod, installed[0])
    body = {key: hands.known[pod.uid][key] for key in ("spec",)}
    hands.api.post(hands.pods, {**body, "metadata": {"name": pod.name}})
    assert not await hands.release(pod, installed[0])
    assert gates_of(hands.get(pod)) == (names.GATE,)


async def test_node_and_assignment_are_stored_in_one_write(
    hands: Hands, installed: list[str]
) -> None:
    pod, where = hands.make(), place(installed[0])
    assert await hands.release(pod, installed[0])
    notes, version = assignment.encode(where), hands.get(pod)["metadata"]["resourceVersion"]
    await hands.binder.bind(pod.ref, where.node, notes)
    seen = hands.api.watch(
        hands.pods,
        {"resourceVersion": version, "fieldSelector": f"metadata.name={pod.name}"},
    )
    first = next(iter(seen))["object"]
    assert first["spec"]["nodeName"] == installed[0]
    assert assignment.decode(first["metadata"]["annotations"]) == where
    with pytest.raises(AlreadyAssigned) as there:
        await hands.binder.bind(pod.ref, NodeName(installed[1]), notes)
    assert there.value.node == installed[0]
    assert assignment.decode(there.value.annotations) == where


async def test_a_pod_that_is_gated_gone_or_another_is_not_bound(
    hands: Hands, installed: list[str]
) -> None:
    pod, where = hands.make(), place(installed[0])
    notes = assignment.encode(where)
    with pytest.raises(BindRefused, match="schedulingGates"):
        await hands.binder.bind(pod.ref, where.node, notes)
    assert await hands.release(pod, installed[0])
    with pytest.raises(BindRefused, match="UID"):
        await hands.binder.bind(PodRef(pod.namespace, pod.name, GONE), where.node, notes)
    hands.api.delete(f"{hands.pods}/{pod.name}")
    with pytest.raises(BindRefused, match="not found"):
        await hands.binder.bind(pod.ref, where.node, notes)


async def test_a_stuck_pod_is_evicted_and_one_that_nothing_would_make_again_is_not(
    hands: Hands, installed: list[str]
) -> None:
    for owned in (True, False):
        pod = hands.make(owned=owned)
        assert await hands.release(pod, installed[0])
        hands.known[pod.uid] = hands.get(pod)
        assert await hands.applier.evict(pod, Verdict(Reason.STUCK)) is owned
        assert (hands.stored(pod) is None) is owned


async def test_a_pod_that_changed_since_it_was_looked_at_is_not_evicted(
    hands: Hands, installed: list[str]
) -> None:
    pod = hands.make()
    assert await hands.release(pod, installed[0])
    hands.known[pod.uid] = hands.get(pod)
    await hands.binder.bind(pod.ref, NodeName(installed[0]), {})
    assert not await hands.applier.evict(pod, Verdict(Reason.STUCK))
    assert "deletionTimestamp" not in hands.get(pod)["metadata"]


async def test_a_disruption_budget_is_kept(
    hands: Hands, installed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}}
    path = f"/apis/policy/v1/namespaces/{hands.namespace}/poddisruptionbudgets"
    hands.api.post(path, {"metadata": {"name": "one"}, "spec": budget})
    pod = hands.make()
    assert await hands.release(pod, installed[0])
    await hands.binder.bind(pod.ref, NodeName(installed[0]), assignment.encode(place(installed[0])))
    running_there = {"phase": "Running"}
    eventually(
        lambda: hands.get(pod)["status"].items() >= running_there.items(), 20, what="it runs"
    )
    del hands.known[pod.uid]
    assert not await hands.applier.evict(pod, Verdict(Reason.STUCK))
    assert "disruption budget" in caplog.text


async def test_people_are_told_why_a_pod_waits_and_that_it_waits_no_more(
    hands: Hands, plane: ControlPlane, installed: list[str]
) -> None:
    pod = hands.make()

    def says() -> tuple[str, str]:
        conditions = {each["type"]: each for each in hands.get(pod)["status"]["conditions"]}
        found = conditions.get("equipoise.dev/Admitted", {})
        return found.get("status", ""), found.get("reason", "")

    def events() -> str:
        return plane.kubectl("get", "events", "-n", hands.namespace, "-o", "wide")

    async with running(hands.notices.run()):
        hands.notices.tell(pod.ref, Verdict(Reason.NO_ROOM, "3 GPUs are free"))
        await until(lambda: says() == ("False", "NoRoom"), what="it says that it waits")
        await until(lambda: "NoRoom" in events(), what="an event says so")
        hands.known[pod.uid] = before = hands.get(pod)
        hands.notices.tell(pod.ref, Verdict(Reason.NO_ROOM, "2 GPUs are free"))
        assert await hands.release(pod, installed[0])
        await until(lambda: says() == ("True", "Released"), what="it says that it was released")
        await until(lambda: "Released" in events(), what="an event says so")
    described = plane.kubectl("describe", "pod", pod.name, "-n", hands.namespace)
    assert "no GPU that it may use has enough free now" in described
    assert "equipoise.dev/scheduler" in events()
    others = [each for each in before["status"]["conditions"] if "equipoise" not in each["type"]]
    after = hands.get(pod)["status"]["conditions"]
    assert {each["type"] for each in others} < {each["type"] for each in after}


async def test_words_about_a_pod_that_is_gone_meet_no_other(hands: Hands) -> None:
    pod = hands.make()
    async with running(hands.notices.run()):
        gone = PodRef(pod.namespace, pod.name, GONE)
        hands.known[GONE] = hands.known[pod.uid]
        hands.notices.tell(gone, Verdict(Reason.NO_ROOM))
        hands.notices.tell(pod.ref, Verdict(Reason.STUCK), action=Action.WARN)
        events = f"/apis/events.k8s.io/v1/namespaces/{pod.namespace}/events"
        await until(lambda: bool(hands.api.items(events)), what="the other is told")
    assert "equipoise" not in str(hands.get(pod)["status"])


@pytest.fixture
def tenant(hands: Hands) -> str:
    name = f"apply-{next(_numbers)}"
    hands.api.post(
        TENANTS.list_path(),
        {
            "apiVersion": TENANTS.api_version,
            "kind": TENANTS.kind,
            "metadata": {"name": name},
            "spec": {"guarantee": 1.5},
        },
    )
    return name


async def test_statuses_are_stored_once_and_beside_those_of_others(
    hands: Hands, plane: ControlPlane, installed: list[str], tenant: str
) -> None:
    clock, ledger, told = SystemClock(), Ledger(), list[str]()
    nodes = NodeBook(ledger.put_nodes, told.append, clock=clock)
    tenants = TenantBook(lambda _tenants: None)

    async def look() -> None:
        for sink, resource in (
            (tenants, TENANTS),
            (nodes.gpunodes, GPUNODES),
            (nodes.nodes, NODES),
        ):
            sink.replace((await hands.client.get(resource.list_path()))["items"])
        await tenants.told()
        await nodes.told()

    async def standing() -> Standing:
        mine = standings.tenant(tenant, parent=None, lag=12.5, pending_pods=3)
        return Standing(clock.now(), (mine,))

    def writer() -> StatusWriter:
        sources = Sources(
            tenants=tenants,
            nodes=nodes,
            ledger=ledger,
            standing=standing,
            version=lambda: 0,
            active=lambda: True,
        )
        return StatusWriter(hands.client, sources, clock=clock, seconds=10.0)

    await look()
    node, path = GPUNODES.path(installed[0]), TENANTS.path(tenant)
    devices = hands.api.get(node)["status"]["devices"]
    await writer().write()
    found, gpunode = hands.api.get(path), hands.api.get(node)
    assert found["status"]["pendingPods"] == 3
    assert found["status"]["lag"]["gpuSeconds"] == 12.5
    assert gpunode["status"]["devices"] == devices
    assert (gpunode["status"]["allocatedMilli"], gpunode["status"]["freeMilli"]) == (0, 0)
    assert {each["manager"] for each in found["metadata"]["managedFields"]} > {"equipoise"}
    # The successor reads what is stored, and finds nothing to write.
    await look()
    await writer().write()
    assert hands.api.get(path) == found
    assert hands.api.get(node) == gpunode
    assert lags_of([found], clock.now())[TenantName(tenant)] == pytest.approx(12.5, abs=60)
    shown = plane.kubectl("get", "tenants", tenant) + plane.kubectl("get", "gpunodes")
    assert "True" in shown
