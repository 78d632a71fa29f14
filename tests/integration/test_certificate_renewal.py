"""A certificate that is renewed on disk is used without a restart."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from cli.local.embedded import ports
from runtime.errors import ConfigurationError, StorageUnavailable, StreamUnavailable
from runtime.settings import Settings
from storage.database.health import ping
from storage.database.pool import open_pool
from stream.server.connection import connect
from stream.server.health import primary
from telemetry import metrics
from tests.support.scripted_sentinel import sentinel_that_names
from tests.support.serving import served
from tests.support.tls_front import at, tls_front
from tests.support.waiting import eventually
from web.server import certificate
from web.server.certificate import Certificate

SOON = datetime(2200, 1, 1, tzinfo=UTC)
LATER = datetime(2201, 1, 1, tzinfo=UTC)


class Files:
    """The files of a certificate."""

    def __init__(self, place: Path) -> None:
        self.chain = place / "cert.pem"
        self.key = place / "key.pem"

    def write(self, issued: trustme.LeafCert) -> None:
        """Replace both files, the key first: between the two steps they do not match."""
        self.write_key(issued.private_key_pem.bytes())
        self.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))

    def write_key(self, key: bytes) -> None:
        self.key.write_bytes(key)


def issued(ca: trustme.CA, not_after: datetime = SOON) -> trustme.LeafCert:
    return ca.issue_cert(ports.LOOPBACK, not_after=not_after)


def trusting(ca: trustme.CA) -> httpx.AsyncClient:
    context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    return httpx.AsyncClient(verify=context)


async def ok(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def answers(ca: trustme.CA, place: str) -> Callable[[], Awaitable[bool]]:
    """Return a check whether a new client that trusts this authority is answered."""

    async def check() -> bool:
        async with trusting(ca) as client:
            try:
                reply = await client.get(f"https://{place}/")
            except httpx.ConnectError as error:
                if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                    raise
                return False
            return reply.status_code == 200

    return check


def loads(result: str) -> float:
    return metrics.registry.get_sample_value("analytics_tls_certificate_loads_total", {"result": result}) or 0


def expiry() -> float | None:
    return metrics.registry.get_sample_value("analytics_tls_certificate_expiry_timestamp_seconds")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def place(files: Files, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(certificate, "CHECK_INTERVAL", timedelta(milliseconds=20))
    files.write(issued(ca))
    async with served(ok, certificate=str(files.chain), key=str(files.key)) as address:
        yield address


async def test_a_new_connection_gets_the_renewed_certificate_and_an_open_one_stays(
    files: Files, ca: trustme.CA, place: str
) -> None:
    new = trustme.CA()
    assert expiry() == SOON.timestamp()
    assert await answers(ca, place)()
    async with trusting(ca) as client:
        assert (await client.get(f"https://{place}/")).status_code == 200
        files.write(issued(new, LATER))
        await eventually(answers(new, place))
        assert not await answers(ca, place)()
        assert (await client.get(f"https://{place}/")).status_code == 200
    assert expiry() == LATER.timestamp()


async def test_an_expired_certificate_is_replaced(files: Files, ca: trustme.CA, place: str) -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    files.write(ca.issue_cert(ports.LOOPBACK, not_before=long_ago, not_after=long_ago + timedelta(days=1)))
    await eventually(lambda: expiry() == (long_ago + timedelta(days=1)).timestamp())
    assert not await answers(ca, place)()
    files.write(issued(ca))
    await eventually(answers(ca, place))


async def test_a_pair_that_does_not_match_is_counted_and_the_old_one_stays(
    files: Files, ca: trustme.CA, place: str
) -> None:
    refused, loaded = loads("refused"), loads("loaded")
    old, renewed = files.key.read_bytes(), issued(ca, LATER)
    files.write_key(renewed.private_key_pem.bytes())
    await eventually(lambda: loads("refused") > refused)
    assert await answers(ca, place)()
    assert expiry() == SOON.timestamp()
    files.write_key(old)
    files.key.unlink()
    await eventually(lambda: loads("refused") > refused + 1)
    assert await answers(ca, place)()
    files.write(renewed)
    await eventually(lambda: expiry() == LATER.timestamp())
    assert loads("loaded") == loaded + 1
    assert await answers(ca, place)()


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(files: Files, ca: trustme.CA) -> None:
    leaf = issued(ca)
    files.write(leaf)
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"password")
    files.write_key(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption)
    )
    with pytest.raises(ConfigurationError, match="ANALYTICS_TLS_KEY_FILE"):
        Certificate(str(files.chain), str(files.key))


async def test_authorities_of_the_servers_are_read_again_after_a_certificate_was_not_trusted(
    settings: Settings, tmp_path: Path, ca: trustme.CA, files: Files
) -> None:
    files.write(issued(ca))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.chain, files.key)
    authorities = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authorities)
    login = urlsplit(settings.redis_dsn).netloc.rpartition("@")[0]
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(tls_front(settings.redis_dsn, context))
        plain = await stack.enter_async_context(sentinel_that_names(int(server.partition(":")[2]), "mymaster"))
        sentinel = await stack.enter_async_context(tls_front(plain, context))
        database = await stack.enter_async_context(tls_front(settings.database_dsn, context, postgres=True))
        direct, named = (
            connect(Settings.model_validate({"redis_url": f"{url}?ssl_ca_certs={authorities}"}))
            for url in (
                at(settings.redis_dsn, server, scheme="rediss"),
                f"rediss+sentinel://{login}@{sentinel}/mymaster",
            )
        )
        stack.push_async_callback(direct.aclose)
        stack.push_async_callback(named.aclose)
        pool = await open_pool(
            at(settings.database_dsn, database, f"sslmode=verify-full&sslrootcert={authorities}"),
            size=1,
            application_name="tests",
            lazy=True,
        )
        stack.push_async_callback(pool.close)
        for redis in (direct, named):
            with pytest.raises(StreamUnavailable):
                await primary(redis)
        with pytest.raises(StorageUnavailable):
            await ping(pool)
        ca.cert_pem.write_to_path(authorities)
        await primary(direct)
        await primary(named)
        await ping(pool)
