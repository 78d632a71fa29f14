"""An id that is not percent-encoded UTF-8 is refused: with replacement characters it would name another learner."""

from __future__ import annotations

import json

import asyncpg

from dashboard.questions.live import SOCKET_PATH
from runtime.settings import Settings
from stream.server.connection import Redis
from tests.support.access import ADMIN_KEY, EVENTS_KEY, READ_KEY
from tests.support.raw_http import CLOSE, HOST, answer, both
from tests.support.reading import OVERVIEW

EVENTS, LIVE = "/api/analytics/events", f"{SOCKET_PATH}/sse"
USERS = "/api/analytics/privacy/users"
TEXTS = ["%ff", "a%C3", "%ed%a0%80", "%c0%af", "%zz", "%", "%f", "50%", "%u00e9"]
HANDSHAKE = (
    b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


async def test_an_undecodable_id_is_refused(settings: Settings, redis: Redis, database: asyncpg.Connection) -> None:
    asked = 0
    async with both(settings, redis) as places:
        for text in TEXTS:
            for method, target, key, parameter in (
                ("GET", f"{OVERVIEW}?user_id={text}", READ_KEY, "user_id"),
                ("GET", f"{EVENTS}?user_id={text}", EVENTS_KEY, "user_id"),
                ("GET", f"{EVENTS}?session_id={text}", EVENTS_KEY, "session_id"),
                ("GET", f"{LIVE}?user_id={text}", EVENTS_KEY, "user_id"),
                ("GET", f"{SOCKET_PATH}?user_id={text}", EVENTS_KEY, "user_id"),
                ("GET", f"{OVERVIEW}?user_id=anna&{text}=1", READ_KEY, "?"),
                ("GET", f"{USERS}/{text}/export", ADMIN_KEY, "user_id"),
                ("DELETE", f"{USERS}/{text}", ADMIN_KEY, "user_id"),
            ):
                more = HANDSHAKE if target.startswith(f"{SOCKET_PATH}?") else CLOSE
                head = b"%s %s HTTP/1.1\r\nauthorization: Bearer %s\r\n" % (
                    method.encode(),
                    target.encode(),
                    key.encode(),
                )
                given = await answer(places["dashboard"], head + HOST + more + b"\r\n")
                assert (given.status, given.code) == (422, "invalid_parameters"), target
                faults = json.loads(given.body)["errors"]
                assert [(one["code"], one["parameter"]) for one in faults] == [("invalid_encoding", parameter)]
                asked += 1
        # an unauthenticated caller gets no details
        given = await answer(
            places["dashboard"], b"GET %s?user_id=%%ff HTTP/1.1\r\n" % OVERVIEW.encode() + HOST + CLOSE + b"\r\n"
        )
        assert given.status == 401
        # characters with a meaning elsewhere are read literally
        for target in (f"{OVERVIEW}?user_id=%EF%BF%BD", f"{OVERVIEW}?user_id=%25ff", f"{OVERVIEW}?user_id=a%20b+c"):
            head = b"GET %s HTTP/1.1\r\nauthorization: Bearer %s\r\n" % (target.encode(), READ_KEY.encode())
            assert (await answer(places["dashboard"], head + HOST + CLOSE + b"\r\n")).status == 200
    refused = await database.fetch("SELECT subject FROM audit_log WHERE outcome = '422'")
    assert [row["subject"] for row in refused] == [None] * asked
