"""Read a file of scripted machines; docs/reference/mock-devices.md says what may stand in it.

Every function raises InvalidFile, with file and line, for what it can't take.
"""

import re
from collections.abc import Mapping

from scheduler.core.model.errors import InvalidFile
from scheduler.device.lines import Entry, quoted
from scheduler.device.models import UNKNOWN, short_name
from scheduler.device.script import Card, Fault, Load, Machine, Slice, Step

MAX_MACHINES = 20_000
MAX_CARDS = 128
MAX_STEPS = 10_000
MIG_SLICES = 7
"""Compute slices of a card (A100, H100, H200)."""

MOST_HELD = 10
"""Times its promise that a pod may be said to hold."""

_MACHINE = ("name", "count", "cpu", "memory", "devices")
_CARD = ("model", "memory", "count", "load", "repeat", "fault", "mig", "link")
_SLICE = ("profile", "count", "load", "repeat")
_STEP = ("at", "utilisation", "foreign", "pods")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,240}[a-z0-9])?")
_PROFILE = re.compile(r"([1-7])g\.([1-9][0-9]{0,3})gb(\+[a-z.]{1,12})?")

Models = Mapping[str, int]
"""Model → MiB, from the file's `models:`."""


def read_machines(file: Entry) -> tuple[Machine, ...]:
    """Return the machines of a file: those under `nodes`, or the one that the file describes."""
    found = file.table()
    if "nodes" in found:
        found = file.fields(("models", "nodes"))
        entries = found["nodes"].items(at_most=MAX_MACHINES)
    elif "devices" in found:
        # Its own fields are checked as a machine's, with `models` beside them.
        entries = (file,)
    else:
        raise file.wrong("the file has neither nodes nor devices; add a list of one of them")
    models = _models(found.get("models"))
    machines: list[Machine] = []
    names: set[str] = set()
    for entry in entries:
        fresh = _machines(entry, models, top=entry is file)
        _check_names(entry, fresh, names)
        machines.extend(fresh)
    if not machines:
        raise found["nodes"].wrong("nodes is empty; list at least one machine")
    return tuple(machines)


def _check_names(entry: Entry, fresh: tuple[Machine, ...], names: set[str]) -> None:
    for machine in fresh:
        if machine.name in names:
            raise entry.wrong(f"the name {quoted(machine.name)} is used twice; choose another")
        names.add(machine.name)
    if len(names) > MAX_MACHINES:
        raise entry.wrong(f"the file has more than {MAX_MACHINES} machines; lower a count")


def _models(entry: Entry | None) -> Models:
    if entry is None:
        return {}
    models: dict[str, int] = {}
    for name, model in entry.table().items():
        models[_model(name, model)] = model.fields(("memory",), needed=("memory",))["memory"].mib()
    return models


def _model(text: str, where: Entry) -> str:
    name = short_name(text)
    if name == UNKNOWN or len(name) > 60:
        raise where.wrong(f"{quoted(text)} is no name for a model; write one such as T4")
    return name


def _machines(entry: Entry, models: Models, *, top: bool) -> tuple[Machine, ...]:
    known = ("models", *_MACHINE) if top else _MACHINE
    found = entry.fields(known, needed=("name", "cpu", "memory"))
    name = found["name"].text()
    if not _NAME.fullmatch(name):
        raise found["name"].wrong(
            f"{quoted(name)} is no name for a node; use small letters, digits, dashes and dots"
        )
    cpu_milli, ram_mib = found["cpu"].milli(), found["memory"].mib()
    cards = _cards(found.get("devices"), models)
    names = [name]
    if "count" in found:
        names = [f"{name}-{n}" for n in range(found["count"].whole(least=1, most=MAX_MACHINES))]
    return tuple(Machine(each, cpu_milli, ram_mib, cards) for each in names)


def _cards(entry: Entry | None, models: Models) -> tuple[Card, ...]:
    if entry is None:
        return ()
    cards: list[Card] = []
    for item in entry.items(at_most=MAX_CARDS):
        found = item.fields(_CARD, needed=("model",))
        cards.extend([_card(item, found, models)] * _count(found, MAX_CARDS))
        if len(cards) > MAX_CARDS:
            raise item.wrong(f"the machine has more than {MAX_CARDS} devices; list fewer")
    return tuple(cards)


def _count(found: Mapping[str, Entry], most: int) -> int:
    return found["count"].whole(least=1, most=most) if "count" in found else 1


def _card(entry: Entry, found: Mapping[str, Entry], models: Models) -> Card:
    model = _model(found["model"].text(), found["model"])
    if "memory" in found:
        memory_mib = found["memory"].mib()
    elif model in models:
        memory_mib = models[model]
    else:
        raise entry.wrong(
            f"the memory of model {quoted(model)} is unknown; add memory here or under models"
        )
    slices = _slices(found["mig"], memory_mib) if "mig" in found else ()
    if slices and "load" in found:
        raise found["load"].wrong("a card with mig takes no load of its own; give it to its slices")
    if slices and "link" in found:
        raise found["link"].wrong("slices of a card with mig aren't linked; remove link")
    return Card(
        model=model,
        memory_mib=memory_mib,
        load=_load(found, memory_mib),
        fault=_fault(found["fault"]) if "fault" in found else None,
        slices=slices,
        link=found["link"].whole(least=0, most=MAX_CARDS) if "link" in found else None,
    )


def _load(found: Mapping[str, Entry], memory_mib: int, *, mig: bool = False) -> Load:
    if "load" not in found:
        if "repeat" in found:
            raise found["repeat"].wrong("repeat without load; add load or remove repeat")
        return Load()
    steps: list[Step] = []
    for entry in found["load"].items(at_most=MAX_STEPS):
        step = _step(entry, memory_mib, mig=mig)
        if steps and step.at <= steps[-1].at:
            raise entry.wrong(f"at {step.at:g} is not after {steps[-1].at:g}; put steps in order")
        steps.append(step)
    if not steps:
        raise found["load"].wrong("load is empty; add a step such as {at: 0, utilisation: 0.3}")
    return Load(tuple(steps), _repeat(found.get("repeat"), steps[-1].at))


def _repeat(entry: Entry | None, last: float) -> float | None:
    if entry is None:
        return None
    repeat = float(entry.number())
    if repeat <= last:
        raise entry.wrong(f"repeat must be later than the last step, which is at {last:g}")
    return repeat


def _step(entry: Entry, memory_mib: int, *, mig: bool) -> Step:
    found = entry.fields(_STEP, needed=("at",))
    if mig and "utilisation" in found:
        raise found["utilisation"].wrong(
            "no driver tells the utilisation of a MIG slice; remove utilisation"
        )
    share = found["utilisation"].number(most=1) if "utilisation" in found else 0
    foreign_mib = found["foreign"].mib(least=0) if "foreign" in found else 0
    if foreign_mib > memory_mib:
        raise found["foreign"].wrong(
            f"foreign is {foreign_mib} MiB, more than the device's {memory_mib}; lower it"
        )
    held = found["pods"].number(most=MOST_HELD) if "pods" in found else 0
    return Step(float(found["at"].number()), round(share * 1000), foreign_mib, round(held * 1000))


def _fault(entry: Entry) -> Fault:
    found = entry.fields(("at", "lost", "xid"), needed=("at",))
    at = float(found["at"].number())
    if ("lost" in found) == ("xid" in found):
        raise entry.wrong("a fault is either lost: true or xid: a number; write one of them")
    if "xid" in found:
        return Fault(at, f"XID {found['xid'].whole(least=1, most=9999)}", lost=False)
    if not found["lost"].truth():
        raise found["lost"].wrong("lost: false is no fault; remove the fault")
    return Fault(at, "the GPU is lost", lost=True)


def _slices(entry: Entry, card_mib: int) -> tuple[Slice, ...]:
    slices: list[Slice] = []
    for item in entry.items(at_most=MIG_SLICES):
        found = item.fields(_SLICE, needed=("profile",)) if item.is_table() else {"profile": item}
        slices.extend([_slice(found)] * _count(found, MIG_SLICES))
    if not slices:
        raise entry.wrong("mig is empty; list profiles such as 1g.10gb or remove it")
    compute = sum(each.slices for each in slices)
    memory = sum(each.memory_mib for each in slices)
    if compute > MIG_SLICES:
        raise entry.wrong(f"mig has {compute} compute slices, a card {MIG_SLICES}; remove some")
    if memory > card_mib:
        raise entry.wrong(f"mig has {memory} MiB, the card {card_mib}; remove some slices")
    return tuple(slices)


def _slice(found: Mapping[str, Entry]) -> Slice:
    text = found["profile"].text()
    match = _PROFILE.fullmatch(text)
    if not match:
        raise _no_profile(found["profile"], text)
    memory_mib = int(match[2]) * 1024
    return Slice(text, int(match[1]), memory_mib, _load(found, memory_mib, mig=True))


def _no_profile(entry: Entry, text: str) -> InvalidFile:
    return entry.wrong(f"{quoted(text)} is no MIG profile; write one such as 1g.10gb")
