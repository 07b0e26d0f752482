"""The credentials in use, and the connections made with them; both follow what changes on disk."""

import asyncio
import logging
from dataclasses import dataclass

from scheduler.core.model.errors import InvalidInput
from scheduler.kube.credentials import Source, authorization, fingerprint, forget_files
from scheduler.kube.errors import Unreachable
from scheduler.kube.pool import Pool

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """What one request is made with. `digest` is of all but the token: see `fingerprint`."""

    authorization: str
    digest: bytes
    pool: Pool


class Connections:
    """Reads credentials anew every `renew_seconds`, beside the requests, and whenever refused."""

    def __init__(self, source: Source, access: Access, renew_seconds: float) -> None:
        self._source, self._access, self._every = source, access, renew_seconds
        self._due = asyncio.get_running_loop().time() + renew_seconds
        self._renewal: asyncio.Task[None] | None = None
        self._failing = self._closed = False
        self._retired: list[Pool] = []

    @classmethod
    async def open(cls, source: Source, *, renew_seconds: float = 60.0) -> "Connections":
        """Read credentials for the first time. Raises InvalidInput."""
        return cls(source, await _read(source, None, fresh=False), renew_seconds)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._access.pool.server

    def current(self) -> Access:
        """Return what to make a request with. Never waits: a renewal that is due runs beside it.

        Raises Unreachable once closed.
        """
        if self._closed:
            raise Unreachable(f"the client of {self.server} is closed; make a new one")
        if asyncio.get_running_loop().time() >= self._due:
            self._start(fresh=False)
        return self._access

    async def refused(self, access: Access) -> None:
        """Read credentials anew, unless that was done since `access` was in use."""
        if self._access is access:
            self._start(fresh=True)
            if self._renewal is not None:
                # Whoever waits may be cancelled, and others may wait for the same.
                await asyncio.shield(self._renewal)

    async def close(self) -> None:
        """Close all connections, also those of credentials that are no more in use."""
        self._closed = True
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        for pool in (self._access.pool, *self._retired):
            await pool.close()

    def _start(self, *, fresh: bool) -> None:
        """Begin a renewal, unless one is under way."""
        if self._renewal is None or self._renewal.done():
            self._due = asyncio.get_running_loop().time() + self._every
            self._renewal = asyncio.create_task(self._read_anew(fresh=fresh), name="credentials")

    async def _read_anew(self, *, fresh: bool) -> None:
        try:
            access = await _read(self._source, self._access, fresh=fresh)
        except InvalidInput as problem:
            if not self._failing:
                log.warning("%s; the credentials read before stay in use", problem)
            self._failing = True
            return
        self._failing = False
        if access is not self._access:
            await self._take(access)

    async def _take(self, access: Access) -> None:
        before, self._access = self._access, access
        log.info("the credentials for %s changed", access.pool.server)
        if before.pool is not access.pool:
            self._retired.append(before.pool)
            await before.pool.retire()
            self._retired = [pool for pool in self._retired if not pool.closed]


async def _read(source: Source, before: Access | None, *, fresh: bool) -> Access:
    """Read credentials; the same object, or the same pool, where nothing changed."""
    try:
        configuration = await source.load(fresh=fresh)
        # From here to the end nothing is awaited: the files are there until `forget_files`.
        header, digest = authorization(configuration), fingerprint(configuration)
        if before is None or before.digest != digest:
            return Access(header, digest, Pool(configuration))
        return before if before.authorization == header else Access(header, digest, before.pool)
    except OSError as problem:
        raise InvalidInput(f"the certificates can't be read ({problem}); replace them") from None
    finally:
        forget_files()
