"""What the API server refuses, in its own words; they were taken from a real one."""

from typing import Any

JSON = dict[str, Any]


class Refused(Exception):
    """An answer that is no success."""

    def __init__(
        self, status: int, reason: str, message: str, *, retry_after: float = 0, causes: Any = None
    ) -> None:
        self.status, self.retry_after = status, retry_after
        self.body: JSON = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": status,
        }
        if causes or retry_after:
            details = {"causes": causes, "retryAfterSeconds": retry_after}
            self.body["details"] = {key: value for key, value in details.items() if value}
        super().__init__(message)


def not_found(resource: str, name: str) -> Refused:
    return Refused(404, "NotFound", f'{resource} "{name}" not found')


def exists(resource: str, name: str) -> Refused:
    return Refused(409, "AlreadyExists", f'{resource} "{name}" already exists')


def conflict(resource: str, name: str, why: str) -> Refused:
    text = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Refused(409, "Conflict", text)


def modified(resource: str, name: str) -> Refused:
    return conflict(
        resource,
        name,
        "the object has been modified; "
        "please apply your changes to the latest version and try again",
    )


def precondition(resource: str, key: str, name: str, what: str, pair: tuple[str, str]) -> Refused:
    """A precondition of a Binding or a PUT; `what` is UID or ResourceVersion."""
    return conflict(
        resource,
        name,
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: {what} in precondition: {pair[0]}, "
        f"{what} in object meta: {pair[1]}",
    )


def deletion(kind: str, name: str, what: str, pair: tuple[str, str]) -> Refused:
    """A precondition of a deletion; `what` is UID or ResourceVersion."""
    outcome = "deleted and then recreated" if what == "UID" else "modified"
    return conflict(
        kind,
        name,
        f"the {what} in the precondition ({pair[0]}) does not match the {what} in record "
        f"({pair[1]}). The object might have been {outcome}",
    )


def invalid(kind: str, name: str, why: str) -> Refused:
    return Refused(422, "Invalid", f'{kind} "{name}" is invalid: {why}')


def bad_request(why: str) -> Refused:
    return Refused(400, "BadRequest", why)


def expired(why: str) -> Refused:
    return Refused(410, "Expired", why)
