"""Access to live events: credentials, origins, limits and expiry."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
import trustme
from websockets.exceptions import InvalidStatus

from cli.local.embedded.ports import LOOPBACK
from runtime.settings import Settings
from schemas.access import IssuedKey
from schemas.live import CREDENTIALS_ENDED
from stream.registry.api_keys import publish_keys
from stream.server.connection import Redis
from tests.support.access import EVENTS_KEY, JWT_SECRET, READ_KEY
from tests.support.following import LIVE, SERVICE, SSE, Service, about, closed, following, received, said
from tests.support.reading import ANNA, bearer, learner_token
from tests.support.timeline import publish
from tests.support.waiting import eventually
from web import api_key_format

SECRET = "the secret of the tests that hashes issued keys"
ORIGIN = "https://app.example"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    more = {"api_key_secret": SECRET, "cors_origins": [ORIGIN], "jwt_leeway_seconds": 0}
    return Settings.model_validate(settings.model_dump() | more)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with following(settings) as service:
        yield service


async def recorded(database: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT actor, action, encode(subject, 'hex'), span::text, outcome FROM audit_log ORDER BY entry_id"
    )
    return [tuple(row) for row in rows]


async def test_unauthorized_connections_are_refused_with_a_reason_and_audited(
    service: Service, settings: Settings, database: asyncpg.Connection
) -> None:
    assert (await service.refused(401, {}))["code"] == "missing_credentials"
    assert (await service.refused(401, bearer("nobody's")))["code"] == "invalid_credentials"
    assert (await service.refused(403, bearer(READ_KEY)))["code"] == "missing_scope"
    assert (await service.refused(403, ANNA, user_id="ben"))["code"] == "other_learner"
    wrongs: tuple[dict[str, Any], ...] = (
        {"types": "level_up,nothing"},
        {"last_id": "-1"},
        {"last_id": "1" * 17},
        {"token": "x"},
    )
    for wrong in wrongs:
        problem = await service.refused(422, **wrong)
        assert [fault["parameter"] for fault in problem["errors"]] == list(wrong)
    anna = settings.pseudonymizer().pseudonym("anna").hex()
    ben = settings.pseudonymizer().pseudonym("ben").hex()
    action = f"GET {LIVE}"
    assert await recorded(database) == [
        ("service:tests", action, None, None, "403"),
        (f"learner:{anna}", action, ben, None, "403"),
        *[("service:tests", action, None, None, "422")] * 4,
    ]


async def test_server_sent_events_have_the_same_refusals(service: Service) -> None:
    async with httpx.AsyncClient(base_url=f"http://{service.place}") as client:
        for status, code, headers, asked in (
            (401, "missing_credentials", {}, {}),
            (403, "missing_scope", bearer(READ_KEY), {}),
            (403, "other_learner", ANNA, {"user_id": "ben"}),
            (422, "invalid_parameters", SERVICE, {"types": "nothing"}),
            (422, "invalid_parameters", SERVICE | {"Last-Event-ID": "x"}, {}),
            (422, "invalid_parameters", SERVICE, {"more": "x"}),
        ):
            reply = await client.get(SSE, headers=headers, params=asked)
            assert (reply.status_code, reply.json()["code"]) == (status, code)
        plain = await client.get(LIVE, headers=SERVICE)
        assert (plain.status_code, plain.json()["code"]) == (426, "upgrade_required")


async def test_opening_is_on_record_before_the_first_frame(
    service: Service, settings: Settings, database: asyncpg.Connection
) -> None:
    anna = settings.pseudonymizer().pseudonym("anna").hex()
    async with service.socket(types="level_up", user_id="anna"):
        opened: list[tuple[Any, ...]] = [("service:tests", f"GET {LIVE}", anna, '{"types": "level_up"}', "200")]
        assert await recorded(database) == opened
    async with service.events(ANNA):
        opened.append((f"learner:{anna}", f"GET {SSE}", anna, None, "200"))
        assert await recorded(database) == opened
    # a stream of all learners does not list them
    async with service.socket(types="level_up,level_up"):
        everybody = '{"about": "everybody", "types": "level_up"}'
        opened.append(("service:tests", f"GET {LIVE}", None, everybody, "200"))
        assert await recorded(database) == opened


async def test_a_stream_that_cannot_be_audited_does_not_open(service: Service, database: asyncpg.Connection) -> None:
    await database.execute("ALTER TABLE audit_log RENAME TO away")
    assert (await service.refused(503))["code"] == "storage_unavailable"
    async with httpx.AsyncClient(base_url=f"http://{service.place}") as client:
        assert (await client.get(SSE, headers=SERVICE)).status_code == 503


async def test_a_browser_sends_its_credential_as_a_subprotocol(
    service: Service, settings: Settings, redis: Redis
) -> None:
    offered = ["analytics.v1", f"bearer.{learner_token('anna')}"]
    async with service.socket({}, subprotocols=offered) as socket:
        assert socket.subprotocol == "analytics.v1"
        ids = await publish(redis, [about(settings, "ben", 1), about(settings, "anna", 2)])
        assert await received(socket, 1) == [ids[1]]
    await service.refused(401, {}, subprotocols=["analytics.v1", "bearer.x"])
    await service.refused(401, {}, subprotocols=["analytics.v1"])


async def test_only_the_own_origin_and_allowed_origins_may_connect(service: Service) -> None:
    for origin in (f"http://{service.place}", ORIGIN):
        async with service.connect(origin=origin) as socket:
            assert (await said(socket))["type"] == "welcome"
    foreign = ("https://elsewhere.example", "null", f"http://x@{service.place}", f"http://{service.place}0")
    for origin in (*foreign, "", "*", "http://[", "http://[::1", "http://a:b", f"http://{service.place}/", "\xff"):
        assert (await service.refused(403, origin=origin))["code"] == "foreign_origin"


async def test_subscribers_are_limited_and_places_are_released(settings: Settings) -> None:
    async with following(settings, places=2) as service:
        async with service.socket(), service.events():
            assert (await service.refused(503))["code"] == "too_many_subscribers"
            async with httpx.AsyncClient(base_url=f"http://{service.place}") as client:
                reply = await client.get(SSE, headers=SERVICE)
            assert (reply.status_code, reply.json()["code"]) == (503, "too_many_subscribers")
            assert int(reply.headers["Retry-After"]) > 0
        await eventually(lambda: _opens_twice(service))


async def _opens_twice(service: Service) -> bool:
    try:
        async with service.socket(), service.socket():
            return True
    except InvalidStatus:
        return False


async def test_a_stream_ends_with_its_token(service: Service) -> None:
    token = jwt.encode({"sub": "anna", "exp": int(time.time()) + 2}, JWT_SECRET, algorithm="HS256")
    async with service.socket(bearer(token)) as socket, service.events(bearer(token)) as stream:
        assert await closed(socket) == CREDENTIALS_ENDED
        seen = [one async for one in _all_of(stream)]
    assert [one["event"] for one in seen[1:]] == ["welcome", "expired"]
    await service.refused(401, bearer(token))


async def _all_of(stream: Any) -> AsyncIterator[dict[str, str]]:
    while fields := await stream.next():
        yield fields


def issued(key: str, **more: Any) -> IssuedKey:
    facts = {
        "key_id": api_key_format.key_id(key),
        "digest": api_key_format.digest(key, SECRET.encode()).hex(),
        "source": "table",
    }
    return IssuedKey.model_validate(facts | {"scopes": ["events:read"]} | more)


async def test_a_stream_ends_when_its_key_is_revoked_and_no_other_does(settings: Settings, redis: Redis) -> None:
    revoked, kept = api_key_format.mint(), api_key_format.mint()
    await publish_keys(redis, [issued(revoked), issued(kept)])
    async with (
        following(settings) as service,
        service.socket() as of_settings,
        service.socket(bearer(kept)) as stays,
        service.socket({"X-API-Key": revoked}) as ends,
        service.events(bearer(revoked)) as stream,
    ):
        await publish_keys(redis, [issued(kept)])
        assert await closed(ends) == CREDENTIALS_ENDED
        assert [one async for one in _all_of(stream)][-1]["event"] == "expired"
        new = await publish(redis, [about(settings, "anna", 1)])
        assert await received(of_settings, 1) == await received(stays, 1) == new


async def test_nothing_opens_without_tls_where_it_is_required(settings: Settings, tmp_path: Any) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert(LOOPBACK)
    chain, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        following(settings, requires_tls=True, certificate=str(chain), key=str(key)) as service,
        service.connect(scheme="wss", ssl=trusting) as socket,
    ):
        assert json.loads(await socket.recv())["type"] == "welcome"
        assert socket.response is not None
        assert socket.response.headers["Strict-Transport-Security"] == "max-age=31536000"
    async with following(settings, requires_tls=True, trusted_proxies=(f"{LOOPBACK}/32",)) as service:
        problem = await _refused_plainly(service)
        assert problem["code"] == "tls_required"
        async with service.connect(SERVICE | {"X-Forwarded-Proto": "https"}) as socket:
            assert json.loads(await socket.recv())["type"] == "welcome"


async def _refused_plainly(service: Service) -> dict[str, Any]:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Authorization": f"Bearer {EVENTS_KEY}",
    }
    async with httpx.AsyncClient() as client:
        reply = await client.get(f"http://{service.place}{LIVE}", headers=upgrade)
    assert reply.status_code == 403
    problem: dict[str, Any] = reply.json()
    return problem
