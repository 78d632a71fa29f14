"""Issued keys are valid within seconds, are revoked within seconds, and are stored nowhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from dashboard.server import open_services
from ingest.routes import TRACK
from ingest.server import create_app
from processors.maintenance.chores import stream_chores
from runtime.lifecycle import run_together
from runtime.settings import Settings
from schemas.entry import decode
from storage.database.pool import open_pool
from stream.keys import API_KEYS
from stream.registry.api_keys import KeySync
from tests.support.entries import stream_entries
from tests.support.reading import SYSTEM, bearer, client_of
from tests.support.terminal import Operator
from tests.support.waiting import eventually
from web import api_key_format
from web.credentials import configured_keys

SECRET = "the secret of the tests that hashes issued keys"
EVENT = {"event_type": "xp_earned", "user_id": "u", "properties": {"xp_amount": 5}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return Settings.model_validate(settings.model_dump() | {"api_key_secret": SECRET})


@pytest.fixture
def operator(settings: Settings, tmp_path: Path) -> Operator:
    return Operator(settings, tmp_path, {"ANALYTICS_API_KEY_SECRET": SECRET})


@asynccontextmanager
async def ingest(settings: Settings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    """Ingest that follows the published keys. Each client has its own address."""
    stop = asyncio.Event()
    keys = configured_keys(settings)
    transport = httpx.ASGITransport(create_app(settings, redis, stop, keys=keys))
    following = asyncio.create_task(KeySync(redis, keys).run(stop))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client
    stop.set()
    await following


async def sent(client: httpx.AsyncClient, key: str) -> int:
    return (await client.post(TRACK, json=EVENT, headers=bearer(key))).status_code


async def create(operator: Operator, *options: str) -> str:
    ended = await operator.run("keys", "create", "--source", "importer", *options)
    assert ended.code == 0, ended.err
    return ended.out.strip()


async def test_a_key_is_good_soon_after_it_is_issued_and_void_soon_after_it_is_revoked(
    settings: Settings, redis: Redis, database: asyncpg.Connection, operator: Operator
) -> None:
    async with ingest(settings, redis) as client:
        key = await create(operator, "--scope", "events:write", "--scope", "learning:read", "--expires-in-days", "9")
        key_id = api_key_format.key_id(key)
        assert key_id is not None

        async def is_good() -> bool:
            return await sent(client, key) == 202

        await eventually(is_good)
        [(_, fields)] = await stream_entries(redis)
        assert decode(fields).source == "importer"

        [listed] = (await operator.run("keys", "list", "--json")).document()
        assert (listed["key_id"], listed["state"]) == (key_id, "in force")
        assert listed["scopes"] == ["events:write", "learning:read"]
        secret = key.rpartition("_")[2]
        published = str(await redis.get(API_KEYS))
        stored = await database.fetchval("SELECT api_keys::text FROM api_keys")
        assert key_id in published
        assert key_id in stored
        assert secret not in published
        assert secret not in stored

        assert (await operator.run("keys", "revoke", key_id)).code == 0

        async def is_void() -> bool:
            return await sent(client, key) == 401

        await eventually(is_void)
    assert [line["state"] for line in (await operator.run("keys", "list", "--json")).document()] == ["revoked"]
    assert "revoked" in (await operator.run("keys", "list")).out
    again = await operator.run("keys", "revoke", key_id)
    assert (again.code, again.out) == (1, "")


async def test_a_redis_that_was_emptied_has_the_keys_again(
    settings: Settings, redis: Redis, operator: Operator
) -> None:
    key = await create(operator, "--scope", "events:write")
    async with ingest(settings, redis) as old:

        async def is_good() -> bool:
            return await sent(old, key) == 202

        await eventually(is_good)
        await redis.flushdb()
        async with ingest(settings, redis) as young:
            # the key may be valid, so a valid sender must not get a final answer
            assert await sent(young, key) == 503
            assert await sent(young, "sia_nonsense") == 401
            assert await sent(old, key) == 202, "a process that had the keys still has them"

            pool = await open_pool(settings.database_dsn, size=1, application_name="test")
            [publish] = [one for one in stream_chores(settings, redis, pool) if one.name == "publish_keys"]
            assert await publish.run() == "published 1"
            await pool.close()

            async def is_known() -> bool:
                return await sent(young, key) == 202

            await eventually(is_known)


async def test_what_is_published_and_cannot_be_read_changes_nothing(
    settings: Settings, redis: Redis, operator: Operator
) -> None:
    key = await create(operator, "--scope", "events:write")
    keys = configured_keys(settings)
    stop = asyncio.Event()
    following = asyncio.create_task(KeySync(redis, keys).run(stop))
    await eventually(lambda: not keys.is_undecided(key))
    await redis.set(API_KEYS, "[{}]")
    reads = (await redis.info("commandstats"))["cmdstat_get"]["calls"]

    async def was_read_again() -> bool:
        return bool((await redis.info("commandstats"))["cmdstat_get"]["calls"] > reads)

    await eventually(was_read_again)
    stop.set()
    await following
    async with ingest(settings, redis) as fresh:
        assert await sent(fresh, key) == 503


async def test_the_read_service_follows_too(settings: Settings, operator: Operator) -> None:
    key = await create(operator, "--scope", "system:read")
    async with open_services(settings) as services, client_of(services) as client:
        assert (await client.get(SYSTEM, headers=bearer(key))).json()["code"] == "keys_unavailable"
        stop = asyncio.Event()
        following = asyncio.create_task(run_together(stop, *(follow(stop) for follow in services.followers)))

        async def is_good() -> bool:
            return (await client.get(SYSTEM, headers=bearer(key))).status_code == 200

        await eventually(is_good)
        stop.set()
        await following


async def test_guessed_keys_are_rate_limited_and_a_good_key_still_works(settings: Settings, redis: Redis) -> None:
    good = json.loads((await redis.get(API_KEYS)) or "[]")
    assert good == []
    async with ingest(settings, redis) as client:
        codes = [await sent(client, f"guess-{number}") for number in range(25)]
        assert codes[:20] == [401] * 20
        assert codes[-1] == 429
        refused = await client.post(TRACK, json=EVENT, headers=bearer("guess"))
        assert (refused.json()["code"], int(refused.headers["retry-after"]) > 0) == ("too_many_failures", True)
        assert await sent(client, "write-key-of-the-tests") == 202


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--scope", "everything"), "scopes"),
        (("--scope", "events:write", "--rate-limit-burst", "5"), "rate_limit_per_second"),
        (("--scope", "events:write", "--rate-limit-per-second", "0"), "rate_limit_per_second"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_issued(
    operator: Operator, database: asyncpg.Connection, options: tuple[str, ...], complaint: str
) -> None:
    ended = await operator.run("keys", "create", "--source", "importer", *options)
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err
    bad_name = await operator.run("keys", "create", "--source", "anna@example.org", "--scope", "events:write")
    assert (bad_name.code, bad_name.out) == (2, "")
    assert "anna" not in bad_name.err
    assert await database.fetchval("SELECT count(*) FROM api_keys") == 0


async def test_without_the_secret_no_key_is_issued(settings: Settings, tmp_path: Path) -> None:
    ended = await Operator(settings, tmp_path).run("keys", "create", "--source", "importer", "--scope", "events:write")
    assert ended.code == 2
    assert "ANALYTICS_API_KEY_SECRET is not set" in ended.err
