"""Times as the API server writes them (RFC 3339), and seconds since the epoch."""

from datetime import UTC, datetime


def seconds(text: object) -> float | None:
    """Return the time in seconds since the epoch; None for what is no time with a zone."""
    try:
        found = datetime.fromisoformat(str(text or ""))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def stamp(at: float) -> str:
    """Return the time as metav1.Time has it, in whole seconds: "2026-01-31T12:00:00Z"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(at: float) -> str:
    """Return the time as metav1.MicroTime has it: "2026-01-31T12:00:00.000000Z"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
