"""Keeps the webhook's certificate fresh, in a living SSLContext, and callers trusting it.

A new certificate serves new connections at once; nothing is restarted. Several replicas share one
certificate: whoever saves first wins, the others take what was saved.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from scheduler.clock import Clock
from scheduler.core.model.errors import EquipoiseError, InvalidInput, NotWritten
from scheduler.webhook import certificates
from scheduler.webhook.certificates import CERTIFICATE, KEY, TRUSTED

RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)

SETTLE_SECONDS = 30.0
"""How long API servers have to learn of a new authority before its certificate is served."""

GATHER_SECONDS = 1.0
"""Between a hint and the look: several make one, and two who disagree don't make a race of it."""

_TRIES = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Serving:
    """PEM: what is served, and which authorities to trust for it (b"" if others see to that)."""

    certificate: bytes
    key: bytes
    trusted: bytes

    def __repr__(self) -> str:
        return "Serving(…)"


class Source(Protocol):
    """Where certificates come from; worth another look every `check_seconds`."""

    check_seconds: float

    async def current(self) -> Serving:
        """Return what is to be served now; raise EquipoiseError or OSError if there is none."""
        ...


class Store(Protocol):
    """Files that all replicas share."""

    async def load(self) -> tuple[Mapping[str, bytes], str]:
        """Return the files and their version; {} and "" if there is nothing yet."""
        ...

    async def save(self, files: Mapping[str, bytes], *, over: str) -> bool:
        """Save over that version; False if another replica changed it meanwhile."""
        ...


class Injector(Protocol):
    """Makes callers trust an authority."""

    async def inject(self, trusted: bytes) -> None:
        """Have these certificates (PEM) trusted; writes nothing if they are already."""
        ...


class OwnCertificates:
    """Made here, kept in a store, signed by an authority of our own."""

    check_seconds = 3600.0

    def __init__(self, store: Store, names: Sequence[str], *, clock: Clock) -> None:
        self._store, self._names, self._clock = store, tuple(names), clock

    async def current(self) -> Serving:
        """Return the stored certificate, or make one if there is none or it is due."""
        for _ in range(_TRIES):
            files, version = await self._store.load()
            earlier, now = _readable(files), self._clock.now()
            if earlier and not certificates.renewal_due(earlier, self._names, now=now):
                return _serving(earlier)
            fresh = certificates.issue(self._names, now=now, earlier=earlier)
            # Another replica may have won: then its certificate is the one to take.
            if await self._store.save(fresh.files(), over=version):
                log.info("made a new certificate for the webhook")
                return _serving(fresh)
        raise NotWritten("others change the stored certificate all the time; see who does")


class Folder:
    """Made by somebody else, such as cert-manager: tls.crt, tls.key, and perhaps ca.crt."""

    check_seconds = 30.0

    def __init__(self, path: Path) -> None:
        self._path = path

    async def current(self) -> Serving:
        """Read the files."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Serving:
        try:
            certificate, key = ((self._path / name).read_bytes() for name in (CERTIFICATE, KEY))
        except OSError as problem:
            raise InvalidInput(
                f"{self._path} must hold {CERTIFICATE} and {KEY}: {problem.strerror}"
            ) from None
        trusted = b""
        with contextlib.suppress(FileNotFoundError):
            trusted = (self._path / TRUSTED).read_bytes()
        return Serving(certificate, key, trusted)


class TlsKeeper:
    """Loads what the source has into the context, now and whenever it changes."""

    def __init__(self, source: Source, injector: Injector | None, *, clock: Clock) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """For the server; it has no certificate until `loaded` is set."""
        self.loaded = asyncio.Event()
        self._source, self._injector, self._clock = source, injector, clock
        self._serving: Serving | None = None
        self._again = asyncio.Event()

    async def run(self) -> None:
        """Look, load and have it trusted, for ever; what fails is tried again soon."""
        failures = 0
        while True:
            self._again.clear()
            try:
                await self.step()
                failures, wait = 0, self._source.check_seconds
            except (EquipoiseError, OSError) as problem:
                wait = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                log.warning("the webhook's certificate wasn't renewed: %s", problem)
            await self._until_next(wait)

    def look_again(self) -> None:
        """Look soon: somebody changed what callers trust, or the files."""
        self._again.set()

    async def step(self) -> None:
        """Look once. At first it is loaded before callers trust it, later only after."""
        found, before = await self._source.current(), self._serving
        if before is None:
            self._load(found)
        if self._injector is not None and found.trusted:
            await self._injector.inject(found.trusted)
        if before is not None and found != before:
            if found.trusted != before.trusted:
                await self._clock.sleep(SETTLE_SECONDS)
            self._load(found)

    def _load(self, found: Serving) -> None:
        """Load it; raise ssl.SSLError, an OSError, if certificate and key don't belong together."""
        # Python's ssl reads from files only. The folder is ours alone, and gone afterwards.
        with TemporaryDirectory(prefix="equipoise-tls-") as folder:
            certificate, key = Path(folder, CERTIFICATE), Path(folder, KEY)
            certificate.write_bytes(found.certificate)
            key.write_bytes(found.key)
            # A pair that doesn't match leaves a context without either: try it elsewhere first.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                context.load_cert_chain(certificate, key)
        self._serving = found
        self.loaded.set()

    async def _until_next(self, seconds: float) -> None:
        waits = (
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._again.wait()),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if self._again.is_set():
            await self._clock.sleep(GATHER_SECONDS)


def _readable(files: Mapping[str, bytes]) -> certificates.Bundle | None:
    """Return what the store holds; None, loudly, if it can't be used: it is made anew."""
    if not files:
        return None
    try:
        return certificates.read(files)
    except InvalidInput as problem:
        log.warning("%s; making new ones", problem)
        return None


def _serving(bundle: certificates.Bundle) -> Serving:
    return Serving(bundle.certificate, bundle.key, bundle.trusted)
