"""How the embedded cluster refuses a write: with the API server's status and words."""

from scheduler.core.model.errors import EquipoiseError


class ApiError(EquipoiseError):
    """A write that was refused; nothing was changed. `status` is HTTP's."""

    status = 500


class NotFound(ApiError):
    """There is no such object."""

    status = 404


class Conflict(ApiError):
    """The object isn't in the state that the write assumes."""

    status = 409


class AlreadyBound(Conflict):
    """The pod has a node."""
