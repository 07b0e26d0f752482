"""Small pieces of Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def code(text: str) -> str:
    """Return the text as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def written_by(source: str) -> str:
    """Return the remark by which a page says that it isn't to be edited."""
    return f"<!-- Written by `make docs` from {source}; change it there. -->"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
