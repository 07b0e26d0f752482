"""What defragmenting would give, for people and as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from scheduler.cli.tables import show
from scheduler.core.cycle.defragment import Defragmentation, Gain
from scheduler.core.model.amounts import MILLI, format_gpus
from scheduler.core.model.placements import Placement
from scheduler.core.model.running import Running
from scheduler.core.model.tenants import tenant_part, user_part

# ----------------------------------------------------------------------------------- for people


def say(found: Defragmentation, *, whose: str) -> None:
    """Print what would be moved, for whom, and what comes of it; or why nothing is."""
    if found.gains:
        columns = ("moves", "from", "to", "GPU-hours lost", "fits", "where")
        show(columns, _rows(found.gains))
    click.echo(_total(found, whose))
    for reason, count in _reasons(found).items():
        click.echo(f"{_count(count, 'pod')} would wait on: {reason}.")
    if not found.gains and found.waits:
        click.echo(
            f"{found.movable} of {_count(found.running, 'running pod')} may be moved: those that "
            "may be stopped, that something makes again, and that have run for long enough."
        )


def _rows(gains: Sequence[Gain]) -> Iterator[tuple[str, ...]]:
    for gain in gains:
        fits, where = gain.pod.key, _where(gain.node, gain.devices)
        for (running, place), lost in zip(gain.moves, gain.lost, strict=True):
            yield (
                running.pod.key,
                _place(running.placement),
                _place(place),
                f"{lost / 3600:.1f}",
                fits,
                where,
            )
            # Said once of several who go for it.
            fits = where = "″"


def _total(found: Defragmentation, whose: str) -> str:
    fit = len(found.gains)
    all_of_them = fit + len(found.waits)
    if not all_of_them:
        return f"No pod{whose} waits: there is nothing to do."
    pods, moves = _count(all_of_them, "waiting pod"), _count(found.moves, "move")
    if not fit:
        return f"None of {pods}{whose} would fit, whoever is moved."
    gpus = format_gpus(found.milli)
    use = f"{gpus} GPU" if gpus == "1" else f"{gpus} GPUs"
    return f"{fit} of {pods}{whose} fit by {moves}, which brings {use} more into use."


def _reasons(found: Defragmentation) -> Mapping[str, int]:
    return Counter(hold.verdict.stable for hold in found.waits)


def _place(place: Placement) -> str:
    return _where(place.node, tuple(slot.index for slot in place.slots))


def _where(node: str, devices: Sequence[int]) -> str:
    return f"{node} GPU {', '.join(map(str, devices))}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


# --------------------------------------------------------------------------------- for programs


def as_data(found: Defragmentation, placed: bool | None) -> dict[str, Any]:
    """Return it as JSON; `placed`: whether all of them got their places, None: not waited for."""
    return {
        "fits": [_gain(gain) for gain in found.gains],
        "moves": found.moves,
        "gpus": found.milli / MILLI,
        "waiting": len(found.gains) + len(found.waits),
        "reasons": dict(Counter(hold.verdict.reason for hold in found.waits)),
        "movable": found.movable,
        "running": found.running,
        "placed": placed,
    }


def _gain(gain: Gain) -> dict[str, Any]:
    return {
        "pod": gain.pod.key,
        "tenant": tenant_part(gain.pod.tenant),
        "user": user_part(gain.pod.tenant),
        "node": gain.node,
        "gpus": list(gain.devices),
        "moves": [
            _move(running, place, lost)
            for (running, place), lost in zip(gain.moves, gain.lost, strict=True)
        ],
    }


def _move(running: Running, place: Placement, lost: float) -> dict[str, Any]:
    old = running.placement
    return {
        "pod": running.pod.key,
        "from": {"node": old.node, "gpus": [slot.index for slot in old.slots]},
        "to": {"node": place.node, "gpus": [slot.index for slot in place.slots]},
        "lost_gpu_seconds": round(lost, 1),
    }
