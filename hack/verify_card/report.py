"""What was found on the card, printed as it is found."""

from collections.abc import Callable
from dataclasses import dataclass

_SIGNS = {True: "ok  ", False: "NOT ", None: "    "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `holds` is None where there is nothing to be right or wrong."""

    section: str
    what: str
    seen: str
    holds: bool | None = None


class Report:
    """Findings in their order; `show` is given each line."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._section = ""
        self.findings: list[Finding] = []

    def section(self, name: str) -> None:
        self._section = name
        self._show(f"\n{name}")

    def check(self, what: str, holds: bool, seen: object) -> None:
        """Note what has to hold, and what was seen of it."""
        self._note(Finding(self._section, what, str(seen), bool(holds)))

    def tell(self, what: str, seen: object) -> None:
        """Note a figure or an answer."""
        self._note(Finding(self._section, what, str(seen)))

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.holds is False]

    def _note(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._show(f"  {_SIGNS[finding.holds]} {finding.what}: {finding.seen}")
