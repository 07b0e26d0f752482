"""Who holds what: as `serve` shows it, and as the pods say."""

from collections.abc import Iterator

import httpx

from tests.cluster.pods import Room
from tests.support.controlplane.api import JSON
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import Installation

Holdings = dict[str, dict[str, int]]
"""Milli by device of each pod, which goes by namespace/name."""


def ledger(installed: Installation, replica: str) -> Holdings:
    """What the ledger of a replica has, reservations included."""
    found: Holdings = {}
    for uuid, piece in _pieces(installed, replica):
        found.setdefault(piece["pod"], {})[uuid] = round(piece["gpus"] * 1000)
    return found


def reserved(installed: Installation, replica: str) -> set[str]:
    """Pods that have a place there and aren't bound yet."""
    return {piece["pod"] for _, piece in _pieces(installed, replica) if not piece["bound"]}


def truth(room: Room, auditor: Auditor) -> Holdings:
    """What the assignments of one namespace's pods say."""
    auditor.caught_up()
    held = auditor.held()
    pods = {each["metadata"]["uid"]: each["metadata"]["name"] for each in room.api.items(room.path)}
    return {
        f"{room.namespace}/{pods[uid]}": slots for uid, (_, slots) in held.items() if uid in pods
    }


def _pieces(installed: Installation, replica: str) -> Iterator[tuple[str, JSON]]:
    page = f"http://127.0.0.1:{installed.ports[replica].web}/api/v1/state"
    for node in httpx.get(page, trust_env=False).json()["nodes"]:
        for gpu in node["gpus"]:
            for piece in gpu["slices"]:
                yield gpu["uuid"], piece
