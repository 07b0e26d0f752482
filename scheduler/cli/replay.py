"""`equipoise replay`: decide again what a journal has, and compare; or tell one pod's story."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from scheduler.cli.journalreading import Numbered, read_journal
from scheduler.core.journal.comparing import Difference, differences, replay
from scheduler.core.journal.stories import Chapter, story
from scheduler.core.model.errors import InvalidFile, InvalidInput

MOST = 20
"""So many differences of a round are printed; --json has all."""


@dataclass(slots=True)
class Outcome:
    """What came of it: rounds by line, how many there were, and those that differ."""

    rounds: int = 0
    lost: int = 0
    differing: dict[int, list[Difference]] = field(default_factory=dict)


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option(
    "--round", "number", type=click.IntRange(1), metavar="N", help="Only the round of line N."
)
@click.option("--pod", metavar="NAMESPACE/NAME", help="Tell this pod's story; nothing is replayed.")
@click.pass_context
def command(
    context: click.Context,
    /,
    file: Path,
    as_json: bool,
    number: int | None,
    pod: str | None,
) -> None:
    """Decide again about every round in FILE, a journal, and compare with what was decided then.

    Ends with 0 if all plans are the same to the last fraction, with 1 if one isn't.
    """
    rounds = _only(read_journal(file), number, file)
    if pod is not None:
        _tell_story(pod, list(story((entry for _, entry in rounds), pod)), as_json=as_json)
        return
    outcome = Outcome()
    for line, at, found in _replayed(rounds, file, outcome):
        if found and not as_json:
            click.echo("\n".join(_sentences(line, at, found)))
    click.echo(json.dumps(_as_json(file, outcome), indent=2) if as_json else _summary(outcome))
    if outcome.differing:
        context.exit(1)


def _only(rounds: Iterator[Numbered], number: int | None, file: Path) -> Iterator[Numbered]:
    """All of them, or the one of that line; those before it have to be read as well."""
    if number is None:
        yield from rounds
        return
    for line, entry in rounds:
        if line == number:
            yield line, entry
            return
    raise InvalidInput(f"there is no round {number} in {file}; rounds are numbered by line")


def _replayed(
    rounds: Iterable[Numbered], file: Path, outcome: Outcome
) -> Iterator[tuple[int, float, list[Difference]]]:
    for line, entry in rounds:
        try:
            found = differences(entry.plan, replay(entry.inputs))
        except InvalidInput as problem:
            raise InvalidFile(str(file), str(problem), line) from None
        outcome.rounds += 1
        outcome.lost += entry.lost
        if found:
            outcome.differing[line] = found
        yield line, entry.inputs.now, found


def _sentences(line: int, at: float, found: list[Difference]) -> Iterator[str]:
    yield f"round {line}, {_time(at)}: {_count(len(found), 'difference')}"
    for each in found[:MOST]:
        yield f"  {each.subject}"
        yield f"    journaled: {each.journaled}"
        yield f"    replayed:  {each.replayed}"
    if len(found) > MOST:
        yield f"  and {len(found) - MOST} more; --json has all"


def _summary(outcome: Outcome) -> str:
    same = outcome.rounds - len(outcome.differing)
    text = f"{_count(outcome.rounds, 'round')}: {same} the same, {len(outcome.differing)} not"
    if outcome.lost:
        text += f"; {outcome.lost} more were not written, as the disk was full or too slow"
    return f"{text}."


def _as_json(file: Path, outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(file),
        "rounds": outcome.rounds,
        "not_written": outcome.lost,
        "differing": [
            {"round": line, "differences": [asdict(each) for each in found]}
            for line, found in outcome.differing.items()
        ],
    }


def _tell_story(pod: str, chapters: list[Chapter], *, as_json: bool) -> None:
    if not chapters:
        raise InvalidInput(f"the journal doesn't know {pod}; name a pod as NAMESPACE/NAME")
    if as_json:
        said = [{"at": at, "says": text} for at, text in chapters]
        click.echo(json.dumps({"pod": pod, "story": said}, indent=2))
    else:
        click.echo("\n".join(f"{_time(at)}  {text}" for at, text in chapters))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="milliseconds")[:-6] + "Z"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
