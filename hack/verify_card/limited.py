"""A pod's limits as its containers find them, and what a program with such limits gets."""

from collections.abc import Mapping

from hack.verify_card.bench import Bench, Started
from scheduler.core.model import limitnotes
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement, Slot
from scheduler.device.driver import DeviceRecord
from scheduler.webhook.environment import of_share

MEMORY, THREADS = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
LIMIT_MIB, MILLI = 4096, 250


def variables(record: DeviceRecord, *, milli: int = MILLI, mib: int = LIMIT_MIB) -> dict[str, str]:
    """Return what the webhook's variables hold once the Binding's annotations are there."""
    slot = Slot(record.index, record.uuid, milli, mib)
    notes = limitnotes.limits(Placement(NodeName("here"), (slot,)), {limitnotes.MPS})
    found = {}
    for variable in of_share(mps=True, driver=False):
        key = str(variable["valueFrom"]["fieldRef"]["fieldPath"]).split("'")[1]
        if key in notes:
            found[str(variable["name"])] = notes[key]
    return found


def outcome(bench: Bench, env: Mapping[str, str], most: int) -> str:
    """Return what a program with this environment gets, or how CUDA refuses it."""
    program = bench.start(bench.environment(env))
    try:
        if program.refused:
            return f"CUDA refuses: {program.refused}"
        sms, mib = program.ask("state")["sms"], int(program.ask(f"fill {most}")["mib"])
        return f"{sms} multiprocessors, {mib} MiB{' or more' if mib >= most else ''}"
    finally:
        program.close()


def takes(program: Started, mib: int) -> bool:
    """Return whether it can have so much at once; it is given back."""
    refused = program.ask(f"take {mib}")["error"]
    program.ask("release")
    return not refused
