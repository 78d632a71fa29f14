"""Every endpoint of both services with every kind of credential. A new endpoint fails here until it is listed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
import jwt
import pytest
from redis.asyncio import Redis

from dashboard.openapi import openapi as dashboard_openapi
from dashboard.server import open_services
from ingest.openapi import openapi
from ingest.segment import routes as segment
from ingest.server import create_app
from runtime.lifecycle import run_together
from runtime.settings import Settings
from schemas.access import IssuedKey
from stream.registry.api_keys import KeySync, publish_keys
from tests.support.access import JWT_SECRET
from tests.support.reading import bearer, client_of, learner_token
from tests.support.waiting import eventually
from web import api_key_format
from web.credentials import configured_keys

SECRET: Final = "the secret of the tests that hashes issued keys"
NOW: Final = datetime.now(UTC)
SCOPES: Final = ("events:write", "events:read", "learning:read", "system:read", "privacy:admin")
EVENT: Final = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 5}}
MESSAGE: Final = {"type": "track", "event": "xp_earned", "userId": "anna", "properties": {"xp_amount": 5}}
BODIES: Final[dict[str, Any]] = {
    "/api/analytics/events/track": EVENT,
    "/api/analytics/events/batch": [EVENT],
    "/v1/batch": {"batch": [MESSAGE]},
}
"""Request bodies by path. All other POST endpoints take one Segment call."""

# method, path: the scope a key needs; what a learner's token gets; what the right key gets
LEARNING = "learning:read"
ENDPOINTS: Final = {
    ("post", "/api/analytics/events/track"): ("events:write", 401, 202),
    ("post", "/api/analytics/events/batch"): ("events:write", 401, 202),
    **{("post", path): ("events:write", 401, 200) for path in (segment.BATCH, *segment.CALLS.values())},
    ("get", "/api/analytics/learning/overview"): (LEARNING, 200, 200),
    ("get", "/api/analytics/learning/heatmap"): (LEARNING, 200, 200),
    ("get", "/api/analytics/gamification/progress"): (LEARNING, 200, 200),
    ("get", "/api/analytics/system/metrics"): ("system:read", 403, 200),
    ("get", "/api/analytics/events"): ("events:read", 403, 200),
    ("get", "/api/analytics/live/sse"): ("events:read", 200, 200),
    ("delete", "/api/analytics/privacy/users/{user_id}"): ("privacy:admin", 403, 202),
    ("get", "/api/analytics/privacy/users/{user_id}/export"): ("privacy:admin", 403, 200),
    ("get", "/api/analytics/privacy/jobs/{job_id}"): ("privacy:admin", 403, 404),
}
OPEN: Final = {("get", "/livez"), ("get", "/readyz"), ("get", "/metrics")}

KEYS: Final = {scope: api_key_format.mint() for scope in SCOPES}
EXPIRED, UNKNOWN = api_key_format.mint(), api_key_format.mint()


def issued(key: str, scopes: tuple[str, ...], **more: Any) -> IssuedKey:
    facts = {
        "key_id": api_key_format.key_id(key),
        "digest": api_key_format.digest(key, SECRET.encode()).hex(),
        "source": "table",
    }
    return IssuedKey.model_validate(facts | {"scopes": scopes} | more)


PUBLISHED: Final = [
    *(issued(key, (scope,)) for scope, key in KEYS.items()),
    issued(EXPIRED, SCOPES, expires_at=NOW - timedelta(seconds=1)),
]


def forged(**claims: Any) -> str:
    return jwt.encode({"sub": "anna", "exp": int(time.time()) + 86_400} | claims, "f" * 40, algorithm="HS256")


def signed(secret: str = JWT_SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": "anna", "exp": int(time.time()) + 86_400} | claims, secret, algorithm=algorithm)


NOT_GOOD: Final[dict[str, dict[str, str]]] = {
    "nothing": {},
    "empty bearer": {"Authorization": "Bearer "},
    "basic": {"Authorization": "Basic YTpi"},
    "unknown key": bearer(UNKNOWN),
    "unknown key in the other header": {"X-API-Key": UNKNOWN},
    "expired key": bearer(EXPIRED),
    "half a key": bearer(KEYS["events:write"][:-1]),
    "a key's id": bearer(str(api_key_format.key_id(KEYS["events:write"]))),
    "a key's digest": bearer(PUBLISHED[0].digest),
    "forged token": bearer(forged()),
    "expired token": bearer(signed(exp=1)),
    "token without an end": bearer(jwt.encode({"sub": "anna"}, JWT_SECRET, algorithm="HS256")),
    "unsigned token": bearer(signed("", "none")),
    "token of another algorithm": bearer(signed(algorithm="HS384")),
    "token for another audience": bearer(signed(aud="elsewhere")),
    "token as a key": {"X-API-Key": learner_token("anna")},
    "long token": bearer(signed(more="x" * 8_000)),
    **{f"token that names key {number}": bearer(forged(jti=str(number))) for number in range(3)},
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings.model_validate(settings.model_dump() | {"api_key_secret": SECRET})


Ask = Callable[..., Any]


@pytest.fixture
async def ask(settings: Settings, redis: Redis) -> AsyncIterator[Ask]:
    await publish_keys(redis, PUBLISHED)
    stop = asyncio.Event()
    keys = configured_keys(settings)
    app = create_app(settings, redis, stop, keys=keys)
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest") as ingest,
        open_services(settings) as services,
        client_of(services) as dashboard,
    ):
        # a stream of live events ends at once, as on shutdown
        over = asyncio.Event()
        over.set()
        await services.live.run(over)
        followers = [KeySync(redis, keys).run(stop), *(follow(stop) for follow in services.followers)]
        following = asyncio.create_task(run_together(stop, *followers))
        await eventually(lambda: not (keys.is_undecided(UNKNOWN) or services.authenticator.keys.is_undecided(UNKNOWN)))

        async def asked(method: str, path: str, headers: dict[str, str]) -> int:
            target = path.replace("{user_id}", "anna").replace("{job_id}", str(uuid4()))
            of_learner = ENDPOINTS[method, path][0] == LEARNING
            if method == "post":
                reply = await ingest.post(target, json=BODIES.get(path, MESSAGE), headers=headers)
            else:
                asking = {"user_id": "anna"} if of_learner else {}
                reply = await dashboard.request(method, target, params=asking, headers=headers)
            assert reply.status_code < 400 or reply.headers["content-type"] == "application/problem+json"
            for credential in headers.values():
                assert credential.rpartition(" ")[2] not in reply.text or not credential.rpartition(" ")[2]
            return reply.status_code

        yield asked
        stop.set()
        await following


def test_every_endpoint_is_in_the_table() -> None:
    described = {
        (method, path)
        for document in (openapi(), dashboard_openapi())
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert described - OPEN == set(ENDPOINTS)


async def test_no_endpoint_opens_without_good_credentials(ask: Ask) -> None:
    found = {
        (name, path): await ask(method, path, headers)
        for name, headers in NOT_GOOD.items()
        for method, path in ENDPOINTS
    }
    # 429 after the first twenty: all requests of the test come from one address
    assert {status for (name, _), status in found.items() if name in list(NOT_GOOD)[:4]} == {401}
    assert set(found.values()) == {401, 429}


async def test_each_key_opens_what_its_scope_says_and_nothing_else(ask: Ask) -> None:
    found = {}
    for scope, key in KEYS.items():
        for method, path in ENDPOINTS:
            found[scope, path] = await ask(method, path, bearer(key))
            assert found[scope, path] == await ask(method, path, {"X-API-Key": key})
    assert found == {
        (scope, path): good if scope == needed else 403
        for scope in SCOPES
        for (_, path), (needed, _, good) in ENDPOINTS.items()
    }


async def test_a_learners_token_opens_that_learners_answers_alone(ask: Ask) -> None:
    anna, ben = (bearer(learner_token(user)) for user in ("anna", "ben"))
    for (method, path), (needed, expected, _) in ENDPOINTS.items():
        assert await ask(method, path, anna) == expected
        assert await ask(method, path, ben) == (403 if needed == LEARNING else expected)
