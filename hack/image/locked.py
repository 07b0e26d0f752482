"""Prints the part of requirements.lock that an image needs: `locked.py run` or `locked.py build`.

The lock holds what tests and checks need too. `run` keeps what `dependencies` of pyproject.toml
leads to, `build` what the build backend leads to, by the "via" notes that uv leaves at each pin.
pip takes it with --require-hashes, and so refuses it should anything be missing.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VIA = re.compile(r"^    #(?: via|  ) +(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pin:
    """One requirement of the lock: its lines, and the names of what needs it."""

    name: str
    text: str
    needed_by: frozenset[str]


def plain(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> Iterator[Pin]:
    """The pins of a lock; one package may have several, for other platforms."""
    for block in re.split(r"\n(?=\w)", lock):
        if (name := NAME.match(block)) is not None:
            yield Pin(plain(name[0]), block.rstrip(), frozenset(map(plain, VIA.findall(block))))


def wanted(project: str, purpose: str) -> set[str]:
    """The names that pyproject.toml asks for itself."""
    tables = tomllib.loads(project)
    listed = {
        "run": tables["project"]["dependencies"],
        "build": tables["build-system"]["requires"],
    }[purpose]
    return {plain(name[0]) for each in listed if (name := NAME.match(each)) is not None}


def closure(found: list[Pin], names: set[str]) -> list[Pin]:
    """The pins of these names, and of what they need."""
    kept, size = set(names), 0
    while len(kept) != size:
        size = len(kept)
        kept |= {pin.name for pin in found if pin.needed_by & kept}
    return [pin for pin in found if pin.name in kept]


def main(purpose: str) -> None:
    """Print the pins for that purpose."""
    names = wanted(Path("pyproject.toml").read_text("utf-8"), purpose)
    for pin in closure(list(pins(Path("requirements.lock").read_text("utf-8"))), names):
        print(pin.text)


if __name__ == "__main__":
    if sys.argv[1:] not in (["run"], ["build"]):
        sys.exit("say what for: locked.py run, or locked.py build")
    main(sys.argv[1])
