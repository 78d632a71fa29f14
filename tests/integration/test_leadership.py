"""One leader at a time: a former leader has no connection, and short chores have connections of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import cycle
from typing import Any

import asyncpg
import pytest

from processors.maintenance.chores import chores
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.answers import summary
from storage.database import leadership as electing
from storage.database.failures import translated_errors
from storage.database.leadership import (
    LONG_CONNECTIONS,
    Leadership,
    TermPools,
    begin_term,
    leadership,
    term_pools,
)
from stream.server.connection import Redis
from tests.support.waiting import eventually

EPOCH = "SELECT epoch FROM maintenance_epoch"
END_LEADER = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@asynccontextmanager
async def term_of(settings: Settings) -> AsyncIterator[tuple[Leadership, TermPools]]:
    async with leadership(settings.database_dsn) as term:
        assert term is not None
        async with term_pools(settings.database_dsn, term.epoch) as pools:
            yield term, pools


async def test_one_leads_and_every_term_has_a_higher_epoch(settings: Settings, database: asyncpg.Connection) -> None:
    async with leadership(settings.database_dsn) as first:
        assert first is not None
        async with leadership(settings.database_dsn) as second:
            assert second is None
        await first.confirm()
    async with leadership(settings.database_dsn) as third:
        assert third is not None
        assert third.epoch == first.epoch + 1 == await database.fetchval(EPOCH)


async def test_a_leader_that_does_not_confirm_loses_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(electing, "SILENCE", timedelta(milliseconds=50))
    async with leadership(settings.database_dsn) as term:
        assert term is not None
        monkeypatch.undo()

        async def another_leads() -> bool:
            async with leadership(settings.database_dsn) as next_term:
                return next_term is not None

        await eventually(another_leads)
        with pytest.raises(StorageUnavailable):
            await term.confirm()


async def test_a_former_leader_can_neither_finish_a_transaction_nor_begin_another(
    settings: Settings, database: asyncpg.Connection
) -> None:
    await database.execute("INSERT INTO stream_positions VALUES (0, 1, '1-0')")
    async with term_of(settings) as (term, pools):
        former = await pools.long.acquire()
        transaction = former.transaction()
        await transaction.start()
        await former.execute("UPDATE stream_positions SET appended = 2")
        await database.execute(END_LEADER)

        async with term_of(settings):
            # nobody waits for it: its session has ended
            await database.execute("UPDATE stream_positions SET appended = appended + 10")
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                await former.execute("UPDATE stream_positions SET appended = 3")
            await pools.long.release(former)
            for pool in pools:
                with pytest.raises(StorageUnavailable, match="leadership_lost"):
                    await summary.refresh(pool)
            with pytest.raises(StorageUnavailable):
                await term.confirm()
    assert await database.fetchval("SELECT appended FROM stream_positions") == 11


def test_the_drivers_error_for_a_session_that_ended_between_two_statements_is_an_outage() -> None:
    with pytest.raises(StorageUnavailable, match="connection"), translated_errors():
        raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress")


async def test_a_connection_is_refused_once_the_epoch_is_over(settings: Settings, database: asyncpg.Connection) -> None:
    async with term_of(settings) as (_, pools):
        await summary.refresh(pools.short)
        await database.execute("UPDATE maintenance_epoch SET epoch = epoch + 1")
        with pytest.raises(StorageUnavailable, match="leadership_lost"):
            await summary.refresh(pools.short)


class TransactionPooler:
    """A connection that a pooler gives another session for each statement."""

    def __init__(self, *sessions: asyncpg.Connection) -> None:
        self._sessions = cycle(sessions)

    async def fetchval(self, *arguments: Any, **options: Any) -> Any:
        return await next(self._sessions).fetchval(*arguments, **options)


async def test_nobody_leads_behind_a_pooler_that_shares_sessions(
    settings: Settings, database: asyncpg.Connection
) -> None:
    before = await database.fetchval(EPOCH)
    another = await asyncpg.connect(settings.database_dsn)
    shared: Any = TransactionPooler(database, another)
    with pytest.raises(StorageUnavailable, match="pooler"):
        await begin_term(shared)
    await another.close()
    assert await database.fetchval(EPOCH) == before


async def test_short_chores_do_not_wait_for_long_ones(settings: Settings, redis: Redis) -> None:
    async with term_of(settings) as (_, pools):
        held = [await pools.long.acquire() for _ in range(LONG_CONNECTIONS)]
        waiting = asyncio.create_task(pools.long.fetchval("SELECT 1"))
        duties = {chore.name: chore.run for chore in chores(settings, redis, pools)}
        for name in ("publish_keys", "erase_learners", "remove_suppressed", "ensure_partitions", "refresh_summary"):
            assert await duties[name]()
        assert not waiting.done()
        for connection in held:
            await pools.long.release(connection)
        assert await waiting == 1


async def test_a_short_chore_waits_for_a_connection_for_a_limited_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(electing, "_SHORT_WAIT", timedelta(milliseconds=10))
    async with term_of(settings) as (_, pools):
        held = [await pools.short.acquire(timeout=30) for _ in range(electing.SHORT_CONNECTIONS)]
        with pytest.raises(StorageUnavailable, match="timeout"):
            await summary.refresh(pools.short)
        for connection in held:
            await pools.short.release(connection)
