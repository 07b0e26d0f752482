"""Finds and reads the openb traces: one list of nodes, and lists of pods by the name of the trace.

Format and clean-up are those of hkust-adsl/kubernetes-scheduler-simulator (`data/csv`), the
simulator of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
Fragmentation Gradient Descent", USENIX ATC 2023. Both its file names and short ones are known.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.nodes import Device, Node
from scheduler.core.model.requests import MAX_DEVICES, Request
from scheduler.simulator.traces.tablefile import Row, read_rows
from scheduler.simulator.traces.trace import DEVICE_MEMORY_MIB, Trace, TracePod

ENVIRONMENT = "EQUIPOISE_TRACES"
BESIDE = Path("../shared/traces")
"""Where traces are looked for when nobody says where they are."""

_NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
_NODE_FILES = ("nodes.csv", "openb_node_list_gpu_node.csv")
_POD_PREFIXES = ("pods_", "openb_pod_list_")
_ENDINGS = ("", ".gz")


def find_traces(
    option: str | None, environ: Mapping[str, str], *, beside: Path = BESIDE
) -> Path | None:
    """Return the folder with the traces: the option's, else the environment's, else `beside`.

    None if nobody names one and none lies there. Raises InvalidFile where a folder is named that
    holds no list of nodes.
    """
    named = option if option is not None else environ.get(ENVIRONMENT)
    if named == "":
        raise InvalidInput(f"--traces and {ENVIRONMENT} name a folder, or are left out")
    folder = beside if named is None else Path(named)
    if _node_file(folder) is not None:
        return folder
    if named is None:
        return None
    problem = "no list of nodes (nodes.csv or nodes.csv.gz) lies in it"
    raise InvalidFile(named, problem if folder.is_dir() else "there is no such folder")


def list_traces(folder: Path) -> list[str]:
    """Name the traces in the folder, sorted."""
    found = set()
    for path in folder.iterdir():
        stem = path.name.removesuffix(".gz")
        for prefix in _POD_PREFIXES:
            if stem.startswith(prefix) and stem.endswith(".csv"):
                found.add(stem.removeprefix(prefix).removesuffix(".csv"))
    return sorted(found)


def read_trace(folder: Path, name: str) -> Trace:
    """Read one trace; raise InvalidFile, or InvalidInput if the folder has none of that name."""
    node_file, pod_file = _node_file(folder), find_pods(folder, name)
    if node_file is None or pod_file is None:
        known = ", ".join(list_traces(folder)) or "none"
        raise InvalidInput(f'{folder}: there is no trace "{name}"; those there are: {known}')
    trace = Trace(name, read_nodes(node_file), read_pods(pod_file), str(folder))
    if not trace.capacity:
        raise InvalidFile(str(node_file), "no node has a GPU; at least one must")
    if not trace.demand:
        raise InvalidFile(str(pod_file), "no pod asks for a GPU; at least one must")
    return trace


def find_pods(folder: Path, name: str) -> Path | None:
    """Return the list of pods of one trace; None if the folder has none."""
    return _first(folder, [f"{prefix}{name}.csv" for prefix in _POD_PREFIXES])


def read_nodes(path: Path) -> tuple[Node, ...]:
    """Read a list of nodes, sorted by name; every device has the same nominal memory."""
    found: dict[str, Node] = {}
    for row in read_rows(path, _NODE_COLUMNS):
        name = row.name("sn")
        if name in found:
            raise row.wrong(f'a node "{name}" is listed already; node names must differ')
        found[name] = _node(name, row)
    return tuple(found[name] for name in sorted(found))


def read_pods(path: Path) -> tuple[TracePod, ...]:
    """Read a list of pods, sorted by name."""
    found: dict[str, TracePod] = {}
    for row in read_rows(path, _POD_COLUMNS):
        name = row.name("name")
        if name in found:
            raise row.wrong(f'a pod "{name}" is listed already; pod names must differ')
        found[name] = TracePod(name, _request(row))
    return tuple(found[name] for name in sorted(found))


def _node(name: str, row: Row) -> Node:
    count = row.whole("gpu", largest=MAX_DEVICES)
    model = row.name("model") if count else ""
    devices = tuple(
        Device(DeviceUUID(f"{name}/{index}"), model, DEVICE_MEMORY_MIB) for index in range(count)
    )
    return Node(NodeName(name), devices, row.whole("cpu_milli"), row.whole("memory_mib"))


def _request(row: Row) -> Request:
    devices = row.whole("num_gpu", largest=MAX_DEVICES)
    # Larger shares, and shares of no GPU, stand in the traces; the published runs read them so.
    milli = min(row.whole("gpu_milli"), MILLI) if devices else 0
    if devices and not milli:
        raise row.wrong("it asks for GPUs but for 0 of each; gpu_milli must be 1 to 1000")
    # Kept as written, repeated models too: the target workload tells shapes apart by the text.
    models = tuple(part.strip() for part in row.text("gpu_spec").split("|") if part.strip())
    return Request(
        devices=devices,
        milli=milli,
        cpu_milli=row.whole("cpu_milli"),
        ram_mib=row.whole("memory_mib"),
        models=models if devices else (),
    )


def _node_file(folder: Path) -> Path | None:
    return _first(folder, _NODE_FILES)


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    paths = (folder / f"{name}{ending}" for name in names for ending in _ENDINGS)
    return next((path for path in paths if path.is_file()), None)
