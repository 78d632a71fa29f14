"""A replay stores the entries of the stream once in a database that was restored from a backup."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from processors.maintenance.chores import check_stream
from processors.maintenance.erasure import carry_out
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.identifiers import unix_milliseconds
from storage.batches.rollups import ROLLUPS
from storage.database.pool import Pool
from storage.losses import record_loss
from storage.privacy.erasure import request_erasure
from stream.entries.entry import EntryId, time_of
from stream.entries.history import trimmed_through
from stream.entries.learner_entries import remove_settled
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis
from tests.support.assembled import settled
from tests.support.checker import assert_nothing_lost
from tests.support.commands import command_line
from tests.support.databases import url_of
from tests.support.entries import append_events, stream_entries
from tests.support.events import event, learner
from tests.support.traffic import append_with_poison, demo_traffic
from tests.support.working import working

FIRST, LATER = demo_traffic(400)[:200], demo_traffic(400)[200:]
POISON_EVERY = 50


async def stored(settings: Settings, redis: Redis, events: Sequence[AcceptedEvent], before: set[UUID]) -> set[UUID]:
    sent = before | await append_with_poison(redis, events, POISON_EVERY)
    async with working(settings):
        await assert_nothing_lost(settings, accepted=sent, sent=sent)
    return sent


@pytest.fixture
async def backups(settings: Settings, postgres_server_url: str) -> AsyncIterator[Backups]:
    made = Backups(settings, await asyncpg.connect(postgres_server_url))
    yield made
    await made.drop()


class Backups:
    def __init__(self, settings: Settings, server: asyncpg.Connection) -> None:
        self._settings = settings
        self._server = server
        self._name: str | None = None

    async def take(self) -> Settings:
        """Copy the database; return settings for a system restored from the copy."""
        original = self._settings.database_dsn.rpartition("/")[2]
        self._name = f"{original}_restored"
        await self._server.execute(f"CREATE DATABASE {self._name} TEMPLATE {original}")
        url = url_of(self._settings.database_dsn, self._name)
        return self._settings.model_copy(update={"database_url": SecretStr(url)})

    async def drop(self) -> None:
        if self._name is not None:
            await self._server.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
        await self._server.close()


async def replay(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any], str]:
    process = await asyncio.create_subprocess_exec(
        *command_line("replay", *arguments, "--json"),
        env={"PATH": os.environ["PATH"], "REDIS_URL": settings.redis_dsn, "DATABASE_URL": settings.database_dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out or b"{}"), err.decode()


async def tables(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """Return every number that is computed from the events, merged over slots."""
    connection = await asyncpg.connect(settings.database_dsn)
    try:
        statements = {rollup.table: rollup.recomputed() for rollup in ROLLUPS} | {
            "analytics_events": "SELECT event_id, entry_id, event_type, occurred_at FROM analytics_events",
            "dead_letters": "SELECT entry_id, reason, payload FROM dead_letters",
            "settled_entries": "SELECT entry_id, outcome FROM settled_entries",
        }
        return {
            name: sorted((tuple(row) for row in await connection.fetch(statement)), key=repr)
            for name, statement in statements.items()
        }
    finally:
        await connection.close()


async def test_a_backup_and_the_stream_give_the_whole_again(settings: Settings, redis: Redis, backups: Backups) -> None:
    sent = await stored(settings, redis, FIRST, set())
    restored = await backups.take()
    sent = await stored(settings, redis, LATER, sent)

    code, said, err = await replay(restored, "--from", "1h")
    assert (code, said["gaps"]) == (0, []), err
    assert said["entries"] == len(FIRST) + len(LATER) + 8
    assert said["stored"] > 0
    assert said["dead_lettered"] == 4
    assert await tables(restored) == await tables(settings)
    await assert_nothing_lost(restored, accepted=sent, sent=sent, parked=8)

    code, again, _ = await replay(restored, "--from", "1h")
    assert (code, again["redelivered"]) == (0, said["entries"])
    assert await tables(restored) == await tables(settings)


async def test_workers_may_go_on_meanwhile(settings: Settings, redis: Redis, backups: Backups) -> None:
    restored = await backups.take()
    sent = await stored(settings, redis, FIRST, set())
    async with working(restored):
        replaying = asyncio.create_task(replay(restored, "--from", "1h"))
        sent |= await append_with_poison(redis, LATER, POISON_EVERY)
        code, _, err = await replaying
        assert code == 0, err
        await assert_nothing_lost(restored, accepted=sent, sent=sent)


async def test_a_dry_run_counts_and_stores_nothing(settings: Settings, redis: Redis, backups: Backups) -> None:
    restored = await backups.take()
    await stored(settings, redis, FIRST, set())
    code, said, _ = await replay(restored, "--from", "1h", "--dry-run")
    assert (code, said["entries"], said["stored"]) == (0, len(FIRST) + 4, 0)
    assert (await tables(restored))["analytics_events"] == []
    assert (await replay(restored, "--from", "1h", "--to", "30m", "--dry-run"))[1]["entries"] == 0


async def test_what_was_trimmed_is_said_to_be_missing(settings: Settings, redis: Redis, backups: Backups) -> None:
    restored = await backups.take()
    await stored(settings, redis, FIRST, set())
    await redis.xtrim(stream_key(0), maxlen=100, approximate=False)
    code, said, err = await replay(restored, "--from", "1h")
    assert code == 1
    assert [gap["partition"] for gap in said["gaps"]] == [0]
    assert "may be missing" in err
    assert said["entries"] == 100


async def oldest_erased(settings: Settings, redis: Redis, pool: Pool, count: int = 5) -> None:
    """Append the events of a learner, then those of others, and erase the learner."""
    oldest = [event("xp_earned", user_hash=learner(77), number=1_000 + number) for number in range(count)]
    await append_events(redis, [*oldest, *FIRST])
    async with working(settings):
        await settled(settings)
    await request_erasure(pool, [learner(77)], "tests")
    assert await carry_out(redis, pool, [0]) == 1
    assert await redis.xlen(stream_key(0)) == len(FIRST)


async def test_what_was_erased_is_not_missing(settings: Settings, redis: Redis, pool: Pool) -> None:
    await oldest_erased(settings, redis, pool)
    code, said, err = await replay(settings, "--from", "1h")
    assert (code, said["gaps"], said["entries"]) == (0, [], len(FIRST)), err


@pytest.mark.parametrize("left", [50, 0])
async def test_what_was_trimmed_after_an_erasure_is_missing(
    settings: Settings, redis: Redis, pool: Pool, left: int
) -> None:
    await oldest_erased(settings, redis, pool)
    await redis.xtrim(stream_key(0), maxlen=left, approximate=False)
    code, said, _ = await replay(settings, "--from", "1h")
    assert (code, len(said["gaps"]), said["entries"]) == (1, 1, left)


async def test_what_redis_lost_is_missing_before_maintenance_notices_it_and_after(
    settings: Settings, redis: Redis, pool: Pool
) -> None:
    await append_events(redis, FIRST)
    assert not await check_stream(redis, pool, 0)
    await redis.flushall()
    code, said, err = await replay(settings, "--from", "1h")
    assert (code, len(said["gaps"]), said["entries"]) == (1, 1, 0)
    assert "lost entries" in err
    await append_events(redis, FIRST[:2])
    assert await check_stream(redis, pool, 0)
    code, said, _ = await replay(settings, "--from", "1h")
    assert (code, len(said["gaps"]), said["entries"]) == (1, 1, 2)


async def test_a_loss_from_before_the_span_leaves_it_whole(settings: Settings, redis: Redis, pool: Pool) -> None:
    lost_at = datetime.now(UTC) - timedelta(minutes=30)
    before = f"{unix_milliseconds(lost_at)}-0"
    await record_loss(pool, 0, 1, after="0-0", before=before, appended=0, last_id=before, first_id=before)
    assert [(await replay(settings, "--from", start))[0] for start in ("40m", "20m")] == [1, 0]


async def test_an_erasure_moves_nothing_that_was_trimmed_before(redis: Redis) -> None:
    ids = [f"{second}000-0" for second in range(1, 7)]
    for one in ids:
        await redis.xadd(stream_key(0), {"a": "b"}, id=one)
    await redis.xgroup_create(stream_key(0), STORE_GROUP, id="$")
    await redis.xtrim(stream_key(0), minid=ids[1], approximate=False)
    trimmed = await trimmed_through(redis, 0)
    assert trimmed == time_of(EntryId.parse(ids[1]))
    for one in (ids[1], ids[2]):
        assert (await remove_settled(redis, 0, [one])).entries == 1
        assert await trimmed_through(redis, 0) == trimmed
    await redis.xtrim(stream_key(0), minid=ids[-1], approximate=False)
    assert await trimmed_through(redis, 0) == time_of(EntryId.parse(ids[-1]))


async def test_an_erasure_by_the_release_before_counts_as_a_trim(redis: Redis) -> None:
    await append_events(redis, FIRST)
    [(oldest, _), *_] = await stream_entries(redis)
    await redis.xdel(stream_key(0), oldest)
    assert await trimmed_through(redis, 0) is not None


@pytest.mark.parametrize("arguments", [["--from", "91d"], ["--from", "91d", "--dry-run"]])
async def test_what_lies_before_the_raw_retention_is_refused(settings: Settings, arguments: list[str]) -> None:
    code, _, err = await replay(settings, *arguments)
    assert code == 2
    assert "--from is before" in err
    assert "ANALYTICS_RAW_RETENTION_DAYS" in err


@pytest.mark.parametrize("arguments", [["--from", "2999-01-01"], ["--from", "1h", "--to", "2h"]])
async def test_a_span_that_ends_before_it_begins_is_refused(settings: Settings, arguments: list[str]) -> None:
    code, _, err = await replay(settings, *arguments)
    assert code == 2
    assert "--from must be before --to" in err


async def test_of_a_new_database_nothing_is_said_to_have_been_removed(settings: Settings) -> None:
    code, _, err = await replay(settings, "--from", "400d")
    assert (code, "removed" in err) == (2, False)
    assert "older than ANALYTICS_RAW_RETENTION_DAYS" in err


async def test_what_lies_before_the_horizon_is_refused_and_what_may_be_given_is_said(
    settings: Settings, database: asyncpg.Connection
) -> None:
    await database.execute("UPDATE retention_horizon SET ordered_before = now() - interval '20 days'")
    code, _, err = await replay(settings, "--from", "21d")
    assert code == 2
    [earliest] = re.findall(r"give --from (\S+) or later", err)
    assert (await replay(settings, "--from", earliest))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--from", "soon"], "soon"), (["--from", "1h", "--partition", "7"], "--partition")]
)
async def test_a_wrong_argument_is_named(settings: Settings, arguments: list[str], words: str) -> None:
    code, _, err = await replay(settings, *arguments)
    assert code == 2
    assert words in err
