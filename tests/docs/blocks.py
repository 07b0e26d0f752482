"""Console blocks of a page: commands, what they print, and what they need that a test hasn't got.

A block is fenced as `console`; lines that begin with "$ " are commands, the lines after one are its
output, in which … stands for anything, also for several lines. A remark `<!-- needs: kind -->`
before a block says that its commands can't run without.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"(?:<!-- needs: (?P<needs>[a-z]+) -->\n\n)?```console\n(?P<body>.*?)```", re.S)


@dataclass(frozen=True, slots=True)
class Command:
    """One line for a shell. `output` is what the page shows, "" if it shows nothing."""

    line: str
    output: str
    needs: str


def commands(page: str) -> Sequence[Command]:
    """Return the commands of a page below docs/, in their order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [
        Command(line, output.strip("\n"), block["needs"] or "")
        for block in _BLOCK.finditer(text)
        for line, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block["body"], re.M)
    ]


def shows(output: str, printed: str) -> bool:
    """Say whether that was printed which the page shows; blanks count as one."""
    if not output:
        return True
    pattern = ".*".join(re.escape(_plain(part)) for part in output.split("…"))
    # What is replaced by … may begin or end with the blank beside it.
    pattern = pattern.replace(r"\ .*", r"\ ?.*").replace(r".*\ ", r".*\ ?")
    return re.fullmatch(pattern, _plain(printed).strip(), re.S) is not None


def _plain(text: str) -> str:
    return re.sub(r"[ \t]+", " ", re.sub(r"[ \t]*\n", "\n", text))
