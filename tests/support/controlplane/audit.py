"""The API server's audit log: who asked for what, and what was answered."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `path` is without its query; `seconds` is how long it took, watches included.

    `message` is what was said where it was refused.
    """

    user: str
    verb: str
    path: str
    resource: str
    status: int
    seconds: float
    message: str
    raw: dict[str, Any]


class Audit:
    """Reads the log from its beginning or, after `mark()`, from where it was then."""

    def __init__(self, log: Path) -> None:
        self._log, self._from = log, 0

    def mark(self) -> None:
        """Forget what has been logged so far."""
        self._from = self._log.stat().st_size if self._log.exists() else 0

    def entries(self, *, user: str = "", status: int | None = None) -> list[Entry]:
        """Return requests by that user (a ServiceAccount as system:serviceaccount:NS:NAME)."""
        return [
            entry
            for entry in self._read()
            if user in {"", entry.user} and status in {None, entry.status}
        ]

    def _read(self) -> Iterator[Entry]:
        if not self._log.exists():
            return
        with self._log.open("rb") as lines:
            lines.seek(self._from)
            for line in lines:
                if line.endswith(b"\n"):
                    yield _entry(json.loads(line))


def _entry(raw: dict[str, Any]) -> Entry:
    ref = raw.get("objectRef", {})
    resource = "/".join(part for part in (ref.get("resource"), ref.get("subresource")) if part)
    return Entry(
        user=raw["user"].get("username", ""),
        verb=raw["verb"],
        path=raw["requestURI"].partition("?")[0],
        resource=resource,
        status=raw.get("responseStatus", {}).get("code", 0),
        seconds=_seconds(raw["stageTimestamp"]) - _seconds(raw["requestReceivedTimestamp"]),
        message=raw.get("responseStatus", {}).get("message", ""),
        raw=raw,
    )


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
