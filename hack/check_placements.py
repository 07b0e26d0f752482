"""Check a file of placements against the trace alone: nothing sold twice, nothing left out.

    python hack/check_placements.py PLACEMENTS --nodes nodes.csv.gz --pods pods_default.csv.gz

Shares no line with the simulator, so that a mistake there can't hide here. Replays the file from
top to bottom: each pod gets as many devices as it asks for, of a model that it accepts, no device,
CPU or memory goes beyond its capacity, and a pod without a node really fitted nowhere.
Exit status: 0 all is well, 1 something is wrong (the first of it is told), 2 unreadable input.
"""

import argparse
import csv
import gzip
import io
import sys
from dataclasses import dataclass
from pathlib import Path

WHOLE = 1000


@dataclass(slots=True)
class Node:
    """What is left of a machine."""

    cpu: int
    memory: int
    model: str
    free: list[int]


@dataclass(frozen=True, slots=True)
class Pod:
    """What a pod asks for; `milli` of each device."""

    cpu: int
    memory: int
    devices: int
    milli: int
    models: frozenset[str]


def read(path: Path) -> list[dict[str, str]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def read_nodes(path: Path) -> dict[str, Node]:
    return {
        row["sn"]: Node(
            cpu=int(row["cpu_milli"]),
            memory=int(row["memory_mib"]),
            model=row["model"],
            free=[WHOLE] * int(row["gpu"]),
        )
        for row in read(path)
    }


def read_pods(path: Path) -> dict[str, Pod]:
    pods = {}
    for row in read(path):
        devices = int(row["num_gpu"])
        spec = (row.get("gpu_spec") or "") if devices else ""
        pods[row["name"]] = Pod(
            cpu=int(row["cpu_milli"]),
            memory=int(row["memory_mib"]),
            devices=devices,
            milli=min(int(row["gpu_milli"]), WHOLE) if devices else 0,
            models=frozenset(spec.split("|")) - {""},
        )
    return pods


def problem(nodes: dict[str, Node], pods: dict[str, Pod], line: dict[str, str]) -> str | None:
    """Book one line on the nodes; say what is wrong with it, or None."""
    pod = pods.get(line["pod"])
    if pod is None:
        return f"there is no pod {line['pod']} in the trace"
    if not line["node"]:
        if line["devices"]:
            return f"{line['pod']} has devices but no node"
        return refusal(nodes, pod, line["pod"])
    node = nodes.get(line["node"])
    if node is None:
        return f"there is no node {line['node']} in the trace"
    devices = [int(index) for index in line["devices"].split(";")] if line["devices"] else []
    wrong = misfit(node, pod, devices)
    if wrong is not None:
        return f"{line['pod']} on {line['node']}: {wrong}"
    node.cpu -= pod.cpu
    node.memory -= pod.memory
    for index in devices:
        node.free[index] -= pod.milli
    return None


def misfit(node: Node, pod: Pod, devices: list[int]) -> str | None:
    """Say why the pod can't have these devices of the node, or None."""
    if len(devices) != pod.devices:
        return f"it asks for {pod.devices} devices and got {len(devices)}"
    if len(set(devices)) != len(devices):
        return "it got one device twice"
    if any(not 0 <= index < len(node.free) for index in devices):
        return f"it got devices {devices}, the node has {len(node.free)}"
    if devices and pod.models and node.model not in pod.models:
        return f"it got a {node.model}, which it doesn't accept"
    if node.cpu < pod.cpu:
        return f"CPU: {pod.cpu} asked for, {node.cpu} left"
    if node.memory < pod.memory:
        return f"memory: {pod.memory} asked for, {node.memory} left"
    for index in devices:
        if node.free[index] < pod.milli:
            return f"device {index}: {pod.milli} asked for, {node.free[index]} left"
    return None


def refusal(nodes: dict[str, Node], pod: Pod, name: str) -> str | None:
    """Say which node had room for a pod that was left out, or None."""
    for node_name, node in nodes.items():
        fitting = [index for index, free in enumerate(node.free) if free >= pod.milli]
        if len(fitting) >= pod.devices and not misfit(node, pod, fitting[: pod.devices]):
            return f"{name} was left out, though {node_name} had room"
    return None


def check(placements: Path, nodes_file: Path, pods_file: Path) -> str | None:
    """Return the first problem, with its line; None if all is well."""
    nodes, pods = read_nodes(nodes_file), read_pods(pods_file)
    for number, line in enumerate(read(placements), start=2):
        wrong = problem(nodes, pods, line)
        if wrong is not None:
            return f"{placements}:{number}: {wrong}"
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("placements", type=Path)
    parser.add_argument("--nodes", type=Path, required=True)
    parser.add_argument("--pods", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        wrong = check(given.placements, given.nodes, given.pods)
    except (OSError, ValueError, KeyError) as unreadable:
        print(f"check_placements: can't read the input: {unreadable!r}", file=sys.stderr)
        return 2
    if wrong is not None:
        print(wrong, file=sys.stderr)
        return 1
    print(f"{given.placements}: all placements hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
