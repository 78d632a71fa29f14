"""TLS from end to end with a test CA: connections without TLS or to the wrong server are refused."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from cli.local.embedded import ports
from dashboard.access.key_set_source import KeySetSource, KeySetUnavailable
from dashboard.access.learner_tokens import KeySet, TokenRules, TokenVerifier
from dashboard.app import create_app as create_dashboard
from dashboard.server import open_services
from ingest.server import create_app
from runtime.errors import ConfigurationError, StorageUnavailable, StreamUnavailable
from runtime.settings import Settings
from storage.database.migrate import upgrade
from storage.database.pool import connect as connect_storage
from storage.database.revision import current_revision, head_revision
from stream.server.connection import connect
from stream.server.health import primary
from tests.support.access import WRITE_KEY
from tests.support.reading import OVERVIEW, READER, bearer
from tests.support.scripted_sentinel import sentinel_that_names
from tests.support.serving import served
from tests.support.tls_front import at, tls_front
from tests.support.waiting import eventually
from tests.support.working import working
from web.server.http_server import serve_http
from web.server.listener import Listener, public_listener

EVENT = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}


@dataclass(frozen=True)
class Authority:
    """Certificates for this machine, in files."""

    ca: Path
    certificate: Path
    key: Path
    another_ca: Path
    for_another_host: tuple[Path, Path]

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    place = tmp_path_factory.mktemp("tls")
    place.chmod(0o755)
    ca, other = trustme.CA(), trustme.CA()
    here, elsewhere = ca.issue_cert(ports.LOOPBACK, "localhost"), ca.issue_cert("elsewhere.example")
    files = Authority(
        place / "ca.pem",
        place / "cert.pem",
        place / "key.pem",
        place / "other.pem",
        (place / "elsewhere.pem", place / "elsewhere.key"),
    )
    ca.cert_pem.write_to_path(files.ca)
    other.cert_pem.write_to_path(files.another_ca)
    for certificate, (chain, key) in ((here, (files.certificate, files.key)), (elsewhere, files.for_another_host)):
        chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(key)
    return files


async def test_ingest_and_dashboard_answer_over_https_only(settings: Settings, authority: Authority) -> None:
    redis = connect(settings)
    apps: list[Any] = [create_app(settings, redis, asyncio.Event())]
    async with open_services(settings) as services:
        apps.append(create_dashboard(services, asyncio.Event()))
        for app in apps:
            encrypted: dict[str, Any] = {
                "certificate": str(authority.certificate),
                "key": str(authority.key),
                "requires_tls": True,
            }
            async with served(app, **encrypted) as place, httpx.AsyncClient(verify=authority.trusting()) as client:
                reply = await client.get(f"https://{place}/livez")
                assert reply.status_code == 200
                assert reply.headers["strict-transport-security"] == "max-age=31536000"
                with pytest.raises(httpx.TransportError):
                    await client.get(f"http://{place}/livez")
                async with httpx.AsyncClient() as stranger:
                    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                        await stranger.get(f"https://{place}/livez")
    await redis.aclose()


async def test_behind_a_proxy_only_what_it_says_was_encrypted_is_answered(settings: Settings) -> None:
    redis = connect(settings)
    app = create_app(settings, redis, asyncio.Event())
    https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    path, key = "/api/analytics/events/track", bearer(WRITE_KEY)
    async with httpx.AsyncClient() as client:
        async with served(app, requires_tls=True, trusted_proxies=(f"{ports.LOOPBACK}/32",)) as place:
            url = f"http://{place}{path}"
            accepted = await client.post(url, json=EVENT, headers=key | https)
            assert accepted.status_code == 202
            assert "strict-transport-security" in accepted.headers
            for headers in ({}, {"X-Forwarded-Proto": "http"}):
                refused = await client.post(url, json=EVENT, headers=key | headers)
                assert (refused.status_code, refused.json()["code"]) == (403, "tls_required")
            assert (await client.get(f"http://{place}/readyz")).status_code == 200
        async with served(app, requires_tls=True, trusted_proxies=("198.51.100.0/24",)) as place:
            lied = await client.post(f"http://{place}{path}", json=EVENT, headers=key | https)
            assert lied.status_code == 403, "any client can send the header; only configured proxies are trusted"
    await redis.aclose()


async def test_failures_count_for_the_address_the_proxy_names(settings: Settings) -> None:
    redis = connect(settings)
    app = create_app(settings, redis, asyncio.Event())

    async def guess(client: httpx.AsyncClient, place: str, address: str) -> int:
        headers = bearer("a guess") | {"X-Forwarded-For": address}
        return (
            await client.post(f"http://{place}/api/analytics/events/track", json=EVENT, headers=headers)
        ).status_code

    async with httpx.AsyncClient() as client:
        async with served(app, trusted_proxies=(ports.LOOPBACK,)) as place:
            assert {await guess(client, place, "203.0.113.9") for _ in range(30)} == {401, 429}
            assert await guess(client, place, "203.0.113.10") == 401
        async with served(app) as place:
            found = [await guess(client, place, f"192.0.2.{number}") for number in range(30)]
            assert set(found) == {401, 429}, "a client that is not trusted cannot claim another address"
    await redis.aclose()


def test_nothing_listens_plainly_where_tls_is_required() -> None:
    settings = Settings.model_validate({"require_tls": True})
    with pytest.raises(ConfigurationError, match="ANALYTICS_TLS_CERT_FILE"):
        public_listener(settings, "127.0.0.1", 1)
    with pytest.raises(ConfigurationError, match="both"):
        public_listener(Settings.model_validate({"tls_cert_file": "x"}), "127.0.0.1", 1)


async def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ANALYTICS_TLS_CERT_FILE"):
        await serve_http(None, Listener(ports.LOOPBACK, 0, str(tmp_path / "no"), str(tmp_path / "no")), asyncio.Event())


WEAK_REDIS = (
    "redis://localhost/0",
    "rediss://localhost/0?ssl_cert_reqs=none",
    "rediss://localhost/0?ssl_check_hostname=false",
    "redis+sentinel://localhost/mymaster",
    "rediss+sentinel://localhost/mymaster?ssl_cert_reqs=none",
)
WEAK_POSTGRES = (
    "postgresql://localhost/analytics",
    "postgresql://localhost/analytics?sslmode=require",
    "postgresql://localhost/analytics?sslmode=verify-ca",
)


@pytest.mark.parametrize("url", WEAK_REDIS)
def test_an_address_of_redis_that_does_not_encrypt_is_refused(url: str) -> None:
    settings = Settings.model_validate({"require_tls": True, "redis_url": url})
    with pytest.raises(ConfigurationError, match="rediss"):
        connect(settings)


@pytest.mark.parametrize("url", WEAK_POSTGRES)
def test_an_address_of_postgres_that_does_not_encrypt_is_refused(url: str) -> None:
    settings = Settings.model_validate({"require_tls": True, "database_url": url})
    with pytest.raises(ConfigurationError, match="verify-full"):
        _ = settings.database_dsn


async def test_the_whole_way_of_an_event_is_encrypted(settings: Settings, authority: Authority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    plain_redis, plain_postgres = settings.redis_dsn, settings.database_dsn
    async with (
        tls_front(plain_redis, context) as redis_place,
        tls_front(plain_postgres, context, postgres=True) as postgres_place,
    ):
        everything = Settings.model_validate(
            settings.model_dump()
            | {
                "require_tls": True,
                "redis_url": at(plain_redis, redis_place, f"ssl_ca_certs={authority.ca}", "rediss"),
                "database_url": at(plain_postgres, postgres_place, f"sslmode=verify-full&sslrootcert={authority.ca}"),
                "tls_cert_file": str(authority.certificate),
                "tls_key_file": str(authority.key),
            }
        )
        await upgrade(everything.database_dsn)
        assert await current_revision(everything.database_dsn) == head_revision()
        await send_and_count(everything, authority)

        for options, scheme in (("", "redis"), (f"ssl_ca_certs={authority.another_ca}", "rediss")):
            client = connect(Settings.model_validate({"redis_url": at(plain_redis, redis_place, options, scheme)}))
            with pytest.raises(StreamUnavailable):
                await primary(client)
            await client.aclose()
        for options in ("sslmode=disable", f"sslmode=verify-full&sslrootcert={authority.another_ca}"):
            with pytest.raises(StorageUnavailable):
                await connect_storage(at(plain_postgres, postgres_place, options), application_name="test")


async def test_a_server_with_another_name_is_not_trusted(settings: Settings, authority: Authority) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.for_another_host)
    async with (
        tls_front(settings.redis_dsn, context) as redis_place,
        tls_front(settings.database_dsn, context, postgres=True) as postgres_place,
    ):
        redis_url = at(settings.redis_dsn, redis_place, f"ssl_ca_certs={authority.ca}", "rediss")
        client = connect(Settings.model_validate({"redis_url": redis_url}))
        with pytest.raises(StreamUnavailable):
            await primary(client)
        await client.aclose()
        options = f"sslmode=verify-full&sslrootcert={authority.ca}"
        with pytest.raises(StorageUnavailable):
            await connect_storage(at(settings.database_dsn, postgres_place, options), application_name="test")


async def test_sentinels_and_the_server_they_name_are_verified(settings: Settings, authority: Authority) -> None:
    context, stranger = (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for _ in range(2))
    context.load_cert_chain(authority.certificate, authority.key)
    stranger.load_cert_chain(*authority.for_another_host)
    login = urlsplit(settings.redis_dsn).netloc.rpartition("@")[0]
    async with (
        tls_front(settings.redis_dsn, context) as server,
        tls_front(settings.redis_dsn, stranger) as wrong_server,
        sentinel_that_names(int(server.partition(":")[2]), "mymaster") as plain,
        sentinel_that_names(int(wrong_server.partition(":")[2]), "mymaster") as misled,
        tls_front(plain, context) as sentinel,
        tls_front(plain, stranger) as wrong_sentinel,
        tls_front(misled, context) as misled_sentinel,
    ):

        async def role_through(place: str) -> str:
            url = f"rediss+sentinel://{login}@{place}/mymaster?ssl_ca_certs={authority.ca}"
            client = connect(Settings.model_validate({"redis_url": url}))
            try:
                return await primary(client)
            finally:
                await client.aclose()

        assert await role_through(sentinel) == "is a primary"
        for place in (wrong_sentinel, misled_sentinel):
            with pytest.raises(StreamUnavailable):
                await role_through(place)


async def send_and_count(settings: Settings, authority: Authority) -> None:
    redis = connect(settings)
    files: dict[str, Any] = {"certificate": settings.tls_cert_file, "key": settings.tls_key_file}
    async with (
        httpx.AsyncClient(verify=authority.trusting()) as client,
        working(settings),
        open_services(settings) as services,
        served(create_app(settings, redis, asyncio.Event()), requires_tls=True, **files) as ingest,
        served(create_dashboard(services, asyncio.Event()), requires_tls=True, **files) as dashboard,
    ):
        url = f"https://{ingest}/api/analytics/events/track"
        assert (await client.post(url, json=EVENT, headers=bearer(WRITE_KEY))).status_code == 202

        async def is_counted() -> bool:
            url = f"https://{dashboard}{OVERVIEW}"
            reply = await client.get(url, params={"user_id": "anna"}, headers=READER)
            return bool(reply.json().get("total_xp") == 5)

        await eventually(is_counted)
    await redis.aclose()


class Issuer:
    """A server that publishes keys or other content."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.location: str | None = None

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"location", self.location.encode())] if self.location else []
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


async def test_learners_keys_are_read_from_an_issuer_whose_certificate_is_good(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(ECAlgorithm.to_jwk(private.public_key())) | {"kid": "one"}
    issuer, keys = Issuer(), KeySet()
    issuer.body = json.dumps({"keys": [public]}).encode()
    async with served(issuer, certificate=str(authority.certificate), key=str(authority.key)) as place:
        source = KeySetSource(f"https://{place}/jwks.json", keys)
        with pytest.raises(KeySetUnavailable, match="ConnectError"):
            await source.load()
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        await source.load()
        token = jwt.encode({"sub": "anna", "exp": 9_999_999_999}, private, algorithm="ES256", headers={"kid": "one"})
        assert TokenVerifier(keys.find, TokenRules()).subject(token) == "anna"

        for status, body, location in (
            (500, issuer.body, None),
            (302, b"", f"https://{place}/other.json"),
            (200, b" " * 2 * 1024**2, None),
            (200, b"<html>", None),
        ):
            issuer.status, issuer.body, issuer.location = status, body, location
            with pytest.raises(KeySetUnavailable):
                await source.load()
            assert keys.find("one", "ES256") is not None, "the known keys stay in use"
