"""One certificate for all replicas, renewed in time, trusted before it is served."""

import asyncio
import base64
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from scheduler.clock import SystemClock
from scheduler.core.model.errors import InvalidInput, NotWritten
from scheduler.http import Address, serving
from scheduler.simulator.virtualtime import EPOCH, LoopClock
from scheduler.simulator.virtualtime import run as run_virtually
from scheduler.webhook import certificates
from scheduler.webhook.certificates import AUTHORITY_DAYS, Bundle
from scheduler.webhook.keeper import Folder, OwnCertificates, Serving, TlsKeeper

NAMES = ("localhost", "127.0.0.1")
DAY = 86_400.0


class Shared:
    """A store with versions, as the API server has them."""

    def __init__(self) -> None:
        self.files: Mapping[str, bytes] = {}
        self.version = 0
        self.fails = 0

    async def load(self) -> tuple[Mapping[str, bytes], str]:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise NotWritten("no answer came")
        return self.files, str(self.version) if self.version else ""

    async def save(self, files: Mapping[str, bytes], *, over: str) -> bool:
        await asyncio.sleep(0)
        if over != (str(self.version) if self.version else ""):
            return False
        self.files, self.version = files, self.version + 1
        return True


class Trust:
    """What callers trust, and when they were told."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.fails = 0

    async def inject(self, trusted: bytes) -> None:
        if self.fails:
            self.fails -= 1
            raise NotWritten("no answer came")
        if not self.told or self.told[-1] != trusted:
            self.told.append(trusted)


def bundle(store: Shared) -> Bundle:
    return certificates.read(store.files)


def keeper(store: Shared, trust: Trust) -> TlsKeeper:
    clock = LoopClock()
    return TlsKeeper(OwnCertificates(store, NAMES, clock=clock), trust, clock=clock)


@contextlib.asynccontextmanager
async def running(kept: TlsKeeper) -> AsyncIterator[None]:
    task = asyncio.create_task(kept.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_replicas_that_start_together_share_one_certificate() -> None:
    async def main() -> None:
        store, trust = Shared(), Trust()
        sources = [OwnCertificates(store, NAMES, clock=LoopClock()) for _ in range(3)]
        served = await asyncio.gather(*(source.current() for source in sources))
        await trust.inject(served[0].trusted)
        assert store.version == 1
        assert len({each.certificate for each in served}) == 1

    run_virtually(main())


def test_a_certificate_is_renewed_after_sixty_days_and_its_authority_stays() -> None:
    async def main() -> None:
        store, trust = Shared(), Trust()
        async with running(keeper(store, trust)):
            await asyncio.sleep(1)
            first = bundle(store)
            await asyncio.sleep(59 * DAY)
            assert bundle(store) == first
            await asyncio.sleep(2 * DAY)
            second = bundle(store)
        assert second.certificate != first.certificate
        assert trust.told == [first.trusted]

    run_virtually(main())


def test_a_new_authority_is_trusted_for_a_while_before_its_certificate_is_served() -> None:
    async def main() -> None:
        store, trust = Shared(), Trust()
        clock = LoopClock()
        old = certificates.issue(NAMES, now=EPOCH - AUTHORITY_DAYS * DAY * 0.7)
        # Not due itself, or the first look would renew it.
        old = certificates.issue(NAMES, now=EPOCH - AUTHORITY_DAYS * DAY * 0.6, earlier=old)
        fixed = Fixed(Serving(old.certificate, old.key, old.trusted))
        kept = TlsKeeper(fixed, trust, clock=clock)
        await kept.step()
        new = certificates.issue(NAMES, now=EPOCH, earlier=old)
        fixed.now = Serving(new.certificate, new.key, new.trusted)
        began = clock.now()
        await kept.step()
        assert clock.now() - began >= 30
        assert trust.told == [old.trusted, new.trusted]
        assert old.trusted in new.trusted
        assert store.version == 0

    run_virtually(main())


class Fixed:
    """A source that says what it is told to."""

    check_seconds = 60.0

    def __init__(self, now: Serving) -> None:
        self.now = now

    async def current(self) -> Serving:
        return self.now


def test_whatever_fails_is_tried_again_soon(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        store, trust = Shared(), Trust()
        store.fails, trust.fails = 2, 2
        kept = keeper(store, trust)
        async with running(kept), asyncio.timeout(60):
            await kept.loaded.wait()
            while not trust.told:
                await asyncio.sleep(1)
        assert trust.told == [bundle(store).trusted]

    run_virtually(main())
    assert caplog.text.count("wasn't renewed: no answer came") == 4


def test_callers_that_lost_their_trust_get_it_back_at_a_hint() -> None:
    async def main() -> None:
        store, trust = Shared(), Trust()
        kept = keeper(store, trust)
        async with running(kept):
            await asyncio.sleep(5)
            trust.told.clear()
            kept.look_again()
            await asyncio.sleep(2)
            assert trust.told == [bundle(store).trusted]
            trust.told.clear()
            await asyncio.sleep(600)
            assert trust.told == []

    run_virtually(main())


def test_a_secret_that_somebody_damaged_is_made_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        store = Shared()
        source = OwnCertificates(store, NAMES, clock=LoopClock())
        await source.current()
        store.files, store.version = {**store.files, "tls.key": b"x"}, 7
        found = await source.current()
        assert store.version == 8
        assert bundle(store).certificate == found.certificate

    run_virtually(main())
    assert "making new ones" in caplog.text


def test_a_store_that_never_takes_it_is_no_endless_loop() -> None:
    class Contested(Shared):
        async def save(self, files: Mapping[str, bytes], *, over: str) -> bool:
            return False

    async def main() -> None:
        with pytest.raises(NotWritten, match="others change"):
            await OwnCertificates(Contested(), NAMES, clock=LoopClock()).current()

    run_virtually(main())


# ------------------------------------------------------------------------ over real sockets


def trusting(trusted: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=trusted.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


async def certificate_at(address: Address, trusted: bytes) -> bytes:
    """Connect anew, verify as a caller does, and return the certificate that was served."""
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=trusting(trusted), server_hostname="localhost"
    )
    try:
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()
        assert reader is not None


def der(pem: bytes) -> bytes:
    body = pem.decode().split("-----")[2]
    return base64.b64decode(body)


async def test_a_living_server_serves_the_new_certificate_to_new_connections() -> None:
    first = certificates.issue(NAMES, now=SystemClock().now())
    second = certificates.issue(NAMES, now=SystemClock().now(), earlier=first)
    source = Fixed(Serving(first.certificate, first.key, first.trusted))
    kept = TlsKeeper(source, None, clock=SystemClock())
    await kept.step()
    async with serving(FastAPI(), "127.0.0.1", 0, tls=kept.context) as address:
        assert address.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=trusting(first.trusted)) as client:
            assert (await client.get(f"{address.url}/healthz")).status_code == 404
            assert await certificate_at(address, first.trusted) == der(first.certificate)
            source.now = Serving(second.certificate, second.key, second.trusted)
            await kept.step()
            assert await certificate_at(address, second.trusted) == der(second.certificate)
            # A connection that is open goes on.
            assert (await client.get(f"{address.url}/healthz")).status_code == 404


async def test_a_server_without_a_certificate_yet_serves_nobody() -> None:
    kept = TlsKeeper(
        OwnCertificates(Shared(), NAMES, clock=SystemClock()), None, clock=SystemClock()
    )
    async with serving(FastAPI(), "127.0.0.1", 0, tls=kept.context) as address:
        authority = certificates.issue(NAMES, now=SystemClock().now())
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await certificate_at(address, authority.trusted)
        assert not kept.loaded.is_set()


async def test_a_folder_that_somebody_else_fills(tmp_path: Path) -> None:
    source, trust = Folder(tmp_path), Trust()
    with pytest.raises(InvalidInput, match=r"must hold tls\.crt and tls\.key: No such file"):
        await source.current()
    made = certificates.issue(NAMES, now=SystemClock().now())
    for name, text in made.files().items():
        if name != "ca.crt":
            (tmp_path / name).write_bytes(text)
    kept = TlsKeeper(source, trust, clock=SystemClock())
    await kept.step()
    # Without ca.crt others see to the trust, as cert-manager's injector does.
    assert trust.told == []
    (tmp_path / "ca.crt").write_bytes(made.trusted)
    assert (await source.current()).trusted == made.trusted


async def test_half_written_files_are_not_served_and_the_next_look_takes_them(
    tmp_path: Path,
) -> None:
    first, second = (certificates.issue(NAMES, now=SystemClock().now()) for _ in range(2))
    for name, text in first.files().items():
        (tmp_path / name).write_bytes(text)
    kept = TlsKeeper(Folder(tmp_path), None, clock=SystemClock())
    await kept.step()
    (tmp_path / "tls.crt").write_bytes(second.certificate)
    (tmp_path / "ca.crt").write_bytes(first.trusted)
    async with serving(FastAPI(), "127.0.0.1", 0, tls=kept.context) as address:
        with pytest.raises(ssl.SSLError):
            await kept.step()
        assert await certificate_at(address, first.trusted) == der(first.certificate)
        (tmp_path / "tls.key").write_bytes(second.key)
        await kept.step()
        assert await certificate_at(address, second.trusted) == der(second.certificate)
