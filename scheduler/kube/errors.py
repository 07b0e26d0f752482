"""What a request to the API server can end in, as a tree.

EquipoiseError
├── Unreachable             no answer came; whether a write was stored is unknown
└── ApiError                it answered, and refused; carries status, reason and text
    ├── Unauthorized        401  it doesn't know who we are
    ├── Forbidden           403  it knows, and we may not
    ├── NotFound            404
    ├── Conflict            409  another version, another UID, or it exists
    ├── Gone                410  that version of the past is forgotten
    ├── Invalid             422
    ├── TooManyRequests     429  nothing was done
    └── ServerFailed        5xx  whether a write was stored is unknown
"""

import math
from collections.abc import Mapping
from typing import Any

import orjson

from scheduler.core.model.errors import EquipoiseError

_LONGEST = 500


class Unreachable(EquipoiseError):
    """No answer came. Whether a write was stored is unknown."""


class ApiError(EquipoiseError):
    """The API server refused a request.

    `message` is the text of its Status, `reason` its one word ("Conflict", "AlreadyExists"; ""
    where it gave none). `retry_after` is in seconds, and None unless the server asks for the same
    again later.
    """

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float | None = None
    ) -> None:
        self.status, self.reason, self.message = status, reason, message
        self.retry_after = retry_after
        super().__init__(f"the API server answered {status}: {message or reason}")


class Unauthorized(ApiError):
    """401: the credentials are not known, or not any more."""


class Forbidden(ApiError):
    """403: RBAC or an admission policy says no."""


class NotFound(ApiError):
    """404: no such object, or no such resource."""


class Conflict(ApiError):
    """409: the object has another version or UID, exists already, or its state doesn't allow it."""


class Gone(ApiError):
    """410: the version asked for is forgotten; list anew."""


class Invalid(ApiError):
    """422: the object would not be valid."""


class TooManyRequests(ApiError):
    """429: nothing was done; without `retry_after`, as a disruption budget forbids an eviction."""


class ServerFailed(ApiError):
    """5xx: the server could not do it. Whether a write was stored is unknown."""


_KINDS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def api_error(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """Return the error that an answer stands for. `headers` ignores case, as HTTP does."""
    found = _status(body)
    message = str(found.get("message") or "")
    return _kind(status)(
        status,
        str(found.get("reason") or ""),
        message or body.decode(errors="replace").strip()[:_LONGEST],
        _seconds(headers.get("Retry-After")),
    )


def event_error(status: Mapping[str, Any]) -> ApiError:
    """Return the error that an ERROR event of a watch carries, as a Status."""
    code = status.get("code")
    number = code if isinstance(code, int) else 500
    message, reason = str(status.get("message") or ""), str(status.get("reason") or "")
    return _kind(number)(number, reason, message)


def _kind(status: int) -> type[ApiError]:
    return ServerFailed if status >= 500 else _KINDS.get(status, ApiError)


def _status(body: bytes) -> Mapping[str, Any]:
    """Read a Status; nothing where something between us and the server answered otherwise."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _seconds(text: str | None) -> float | None:
    """Read Retry-After; the API server sends seconds, never a date."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None
