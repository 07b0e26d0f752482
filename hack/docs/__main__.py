"""The generated pages of docs/, written anew or compared: `python -m hack.docs [--check]`."""

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from hack.docs import annotations, cli, crds, settings, turns
from scheduler.telemetry import reference

DOCS = Path(__file__).resolve().parents[2] / "docs"

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/annotations.md": annotations.page,
    "reference/cli.md": cli.page,
    "reference/custom-resource-fields.md": crds.page,
    "reference/metrics.md": reference.page,
    "reference/settings.md": settings.page,
    "images/turns.svg": turns.picture,
}
"""Path below docs/ -> what the code says."""


def outdated() -> Mapping[str, str]:
    """Return the pages that aren't what the code says, each with the difference."""
    found = {}
    for name, page in PAGES.items():
        path = DOCS / name
        stored = path.read_text(encoding="utf-8") if path.exists() else ""
        wanted = page()
        if stored != wanted:
            lines = difflib.unified_diff(
                stored.splitlines(), wanted.splitlines(), f"docs/{name}", "the code", lineterm=""
            )
            found[name] = "\n".join(lines)
    return found


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if a page differs.")
def main(check: bool) -> None:
    """Write the generated pages of docs/ anew."""
    differing = outdated()
    for name, difference in differing.items():
        if check:
            click.echo(f"{difference}\ndocs/{name} is out of date; run: make docs", err=True)
        else:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
            click.echo(f"docs/{name}")
    sys.exit(1 if check and differing else 0)


if __name__ == "__main__":
    main()
