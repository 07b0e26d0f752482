"""What the writers need of a client of the API server."""

from collections.abc import Mapping
from typing import Any, Protocol

from scheduler.kube.client import JSON, Patch


class Api(Protocol):
    """A part of `client.Client`, which says what each raises."""

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> JSON:
        """Read an object."""
        ...

    async def post(self, path: str, body: Any, params: Mapping[str, str] | None = None) -> JSON:
        """Create an object, or post to a subresource."""
        ...

    async def patch(
        self,
        path: str,
        body: Any,
        kind: Patch,
        params: Mapping[str, str] | None = None,
        *,
        brief: bool = False,
    ) -> JSON:
        """Change an object."""
        ...


class Ending(Api, Protocol):
    """One that may delete, too."""

    async def delete(self, path: str, body: Any | None = None) -> JSON:
        """Delete an object; `body` may be DeleteOptions."""
        ...
