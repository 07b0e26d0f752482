"""Reader of scenario files: nodes, tenants, pods, and what is expected to come of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from scheduler.core.fairness.guarantees import guaranteed
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import InvalidFile, InvalidInput, InvalidTenants
from scheduler.core.model.gangs import MOST_MEMBERS, Gang
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import MAX_DEVICES, Request, Spreading
from scheduler.core.model.tenants import Tenant
from scheduler.simulator.scenarios import jsonfile
from scheduler.simulator.scenarios.jsonfile import Entry
from scheduler.simulator.scenarios.tenantentry import read_tenant

AMPLE_CPU_MILLI, AMPLE_RAM_MIB = 10**9, 10**9
MODEL = "any"
MOST_MEMORY_MIB = 2**31


@dataclass(frozen=True, slots=True)
class Running:
    """A pod that runs when the scenario begins; `devices` are indices, () = any that are free."""

    pod: Pod
    node: NodeName
    devices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What should come out; node "*" means any. Groups are pods on one GPU, or each on another."""

    bound: Mapping[str, str]
    still_running: Mapping[str, str]
    moved: Mapping[str, str]
    evicted: tuple[str, ...]
    stay_pending: tuple[str, ...]
    same_gpu: tuple[tuple[str, ...], ...]
    different_gpu: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `phase` is the one to run once; None runs all until nothing changes.

    `expected` is None where the file says nothing.
    """

    id: str
    title: str
    phase: str | None
    nodes: tuple[Node, ...]
    tenants: tuple[Tenant, ...]
    running: tuple[Running, ...]
    pending: tuple[Pod, ...]
    expected: Expected | None


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Read the scenarios of a file; raise InvalidFile with one sentence."""
    document = jsonfile.read_document(path)
    try:
        entries = jsonfile.objects(
            jsonfile.as_object(document, "the file"), "scenarios", "the file"
        )
        return tuple(_scenario(entry, f"scenario {n}") for n, entry in enumerate(entries, start=1))
    except InvalidInput as problem:
        raise InvalidFile(str(path), str(problem)) from None


def _scenario(entry: Entry, where: str) -> Scenario:
    name = jsonfile.text(entry, "id", where)
    where = f'scenario "{name}"'
    nodes = tuple(_node(each, where) for each in jsonfile.objects(entry, "nodes", where))
    total = Fraction(sum(len(node.devices) for node in nodes))
    tenants = tuple(
        read_tenant(each, where, age, total=total)
        for age, each in enumerate(jsonfile.objects(entry, "tenants", where))
    )
    try:
        tree = guaranteed(TenantTree(tenants), Ledger(nodes).brought)
    except InvalidTenants as problem:
        raise InvalidInput(f"{where}: {problem}") from None
    spreading = _spreading(entry, where)
    listed = {kind: jsonfile.objects(entry, kind, where) for kind in ("running", "pending")}
    sizes = Counter(each["gang"] for kind in listed.values() for each in kind if _is_named(each))
    pods = {
        kind: [(each, _pod(each, where, spreading, sizes)) for each in entries]
        for kind, entries in listed.items()
    }
    _refuse_twice("node", [node.name for node in nodes], where)
    _refuse_twice("pod", [pod.name for kind in pods.values() for _, pod in kind], where)
    for _, pod in pods["running"]:
        if pod.tenant not in tree:
            raise InvalidInput(f'{where}, pod "{pod.name}": there is no tenant "{pod.tenant}"')
    return Scenario(
        id=name,
        title=str(entry.get("title", "")),
        phase=_phase(entry, where),
        nodes=nodes,
        tenants=tuple(tree.tenants.values()),
        running=tuple(_running(each, pod, where, nodes) for each, pod in pods["running"]),
        pending=tuple(pod for _, pod in pods["pending"]),
        expected=_expected(entry, where),
    )


def _phase(entry: Entry, where: str) -> str | None:
    mode = entry.get("mode", "steady_state")
    if mode == "steady_state":
        return None
    if mode != "one_action":
        raise InvalidInput(f'{where}: "mode" must be "steady_state" or "one_action"')
    return jsonfile.text(entry, "phase", where)


def _spreading(entry: Entry, where: str) -> Spreading:
    placement = jsonfile.as_object(entry.get("placement") or {}, f'{where}: "placement"')
    return Spreading.SPREAD if placement.get("gpu") == "spread" else Spreading.PACK


def _node(entry: Entry, where: str) -> Node:
    name = jsonfile.text(entry, "name", where)
    where = f'{where}, node "{name}"'
    count, memory = (
        jsonfile.whole(entry, "gpus", where),
        jsonfile.whole(entry, "gpu_memory_mib", where),
    )
    if not 0 <= count <= MAX_DEVICES or not 0 < memory < MOST_MEMORY_MIB:
        raise InvalidInput(
            f'{where}: give 0 to {MAX_DEVICES} "gpus" and a "gpu_memory_mib" '
            f"above 0 and below {MOST_MEMORY_MIB}"
        )
    devices = tuple(Device(DeviceUUID(f"{name}/{i}"), MODEL, memory) for i in range(count))
    owner = {OWNER_LABEL: jsonfile.text(entry, "owner", where)} if "owner" in entry else {}
    return Node(NodeName(name), devices, AMPLE_CPU_MILLI, AMPLE_RAM_MIB, labels=owner)


def _pod(entry: Entry, where: str, spreading: Spreading, sizes: Counter[object]) -> Pod:
    name = jsonfile.text(entry, "name", where)
    where = f'{where}, pod "{name}"'
    preemptible = entry.get("preemptible", True)
    if not isinstance(preemptible, bool):
        raise InvalidInput(f'{where}: "preemptible" must be true or false')
    return Pod(
        uid=PodUID(name),
        namespace="scenario",
        name=name,
        tenant=TenantName(jsonfile.text(entry, "tenant", where)),
        request=replace(_request(entry, where), spreading=spreading),
        created=float(jsonfile.whole({"order": Fraction(0), **entry}, "order", where)),
        priority=jsonfile.whole({"priority": Fraction(0), **entry}, "priority", where),
        preemptible=preemptible,
        gang=_gang(entry, where, sizes),
        owner=name,
    )


def _is_named(entry: Entry) -> bool:
    """Whether it names a gang."""
    return isinstance(entry.get("gang"), str)


def _gang(entry: Entry, where: str, sizes: Counter[object]) -> Gang | None:
    """Return what it starts together with; without a size with all that name the same gang."""
    if entry.get("gang") is None:
        return None
    every = Fraction(sizes[entry["gang"]]) if _is_named(entry) else Fraction(1)
    size = jsonfile.whole({"gang_size": every, **entry}, "gang_size", where)
    if not 0 < size <= MOST_MEMBERS:
        raise InvalidInput(f'{where}: "gang_size" must be 1 to {MOST_MEMBERS}')
    return Gang(jsonfile.text(entry, "gang", where), size)


def _request(entry: Entry, where: str) -> Request:
    asked = [key for key in ("gpus", "fraction", "memory_mib") if key in entry]
    if len(asked) != 1:
        raise InvalidInput(f'{where}: give one of "gpus", "fraction" and "memory_mib"')
    if asked == ["fraction"]:
        milli = jsonfile.amount(entry, "fraction", where) * MILLI
        if not 0 < milli <= MILLI or milli.denominator != 1:
            raise InvalidInput(f'{where}: "fraction" must be above 0, at most 1, in steps of 0.001')
        return Request(devices=1, milli=milli.numerator)
    number = jsonfile.whole(entry, asked[0], where)
    if asked == ["memory_mib"]:
        if not 0 < number < MOST_MEMORY_MIB:
            raise InvalidInput(f'{where}: "memory_mib" must be above 0, below {MOST_MEMORY_MIB}')
        return Request(devices=1, memory_mib=number)
    if not 0 <= number <= MAX_DEVICES:
        raise InvalidInput(f'{where}: "gpus" must be 0 to {MAX_DEVICES}')
    return Request(devices=number, milli=MILLI if number else 0)


def _running(entry: Entry, pod: Pod, where: str, nodes: tuple[Node, ...]) -> Running:
    where = f'{where}, pod "{pod.name}"'
    name = jsonfile.text(entry, "node", where)
    node = next((each for each in nodes if each.name == name), None)
    if node is None:
        raise InvalidInput(f'{where}: runs on "{name}", which is none of the nodes')
    index = entry.get("gpu_index")
    indices = () if index is None else tuple(index) if isinstance(index, list) else (index,)
    for each in indices:
        if not isinstance(each, Fraction) or each not in range(len(node.devices)):
            raise InvalidInput(f'{where}: "gpu_index" must be 0 to {len(node.devices) - 1}')
    return Running(pod, node.name, tuple(int(each) for each in indices))


def _expected(entry: Entry, where: str) -> Expected | None:
    if "expected" not in entry:
        return None
    wanted = jsonfile.as_object(entry["expected"], f'{where}: "expected"')
    return Expected(
        bound=_places(wanted, "bound", where),
        still_running=_places(wanted, "still_running", where),
        moved=_places(wanted, "moved", where),
        evicted=_names(wanted, "evicted", where),
        stay_pending=_names(wanted, "stay_pending", where),
        same_gpu=_groups(wanted, "same_gpu", where),
        different_gpu=_groups(wanted, "different_gpu", where),
    )


def _places(wanted: Entry, key: str, where: str) -> Mapping[str, str]:
    places = jsonfile.as_object(wanted.get(key, {}), f'{where}: "{key}"')
    return {pod: str(node) for pod, node in places.items()}


def _names(wanted: Entry, key: str, where: str) -> tuple[str, ...]:
    return tuple(str(each) for each in jsonfile.listing({key: [], **wanted}, key, where))


def _groups(wanted: Entry, key: str, where: str) -> tuple[tuple[str, ...], ...]:
    """Return groups of pods; a plain list of names is one group."""
    listed = jsonfile.listing({key: [], **wanted}, key, where)
    if listed and all(isinstance(each, str) for each in listed):
        return (tuple(listed),)
    groups = (jsonfile.listing({key: group}, key, where) for group in listed)
    return tuple(tuple(str(pod) for pod in group) for group in groups)


def _refuse_twice(kind: str, names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f'{where}: {kind} "{name}" is there twice; give each its own name')
        seen.add(name)
