"""Connections lead to the primary among several hosts, and leave a server that begins to refuse writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from runtime.errors import StorageUnavailable
from storage.database import primary
from storage.database.migrate import upgrade
from storage.database.pool import connect, open_pool
from storage.database.revision import current_revision, head_revision
from tests.support.waiting import eventually


def with_hosts(url: str, *before: str) -> str:
    """Return the URL with more hosts before its own."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}@{','.join([*before, host])}").geturl()


@asynccontextmanager
async def silent_host() -> AsyncIterator[str]:
    """A host that accepts connections and never answers, as a lost machine behind a proxy does."""
    kept: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: kept.append(writer), LOOPBACK, 0)
    yield f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    for writer in kept:
        writer.transport.abort()
    server.close()


@pytest.mark.parametrize("same_statements", [True, False])
async def test_a_pool_leaves_a_server_that_begins_to_refuse_writes(database_url: str, same_statements: bool) -> None:
    async with await open_pool(database_url, size=1, application_name="tests", same_statements=same_statements) as pool:
        async with pool.acquire() as connection:
            before = connection.get_server_pid()
            # the server reports this as it reports a change of its configuration
            await connection.execute("SET default_transaction_read_only = on")
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await connection.execute("CREATE TABLE refused ()")
        async with pool.acquire() as connection:
            assert connection.get_server_pid() != before
            await connection.execute("CREATE TABLE accepted ()")


@pytest.mark.parametrize("read_only", [True, False])
async def test_other_connections_are_kept(database_url: str, read_only: bool) -> None:
    async with await open_pool(database_url, size=1, application_name="tests", read_only=read_only) as pool:
        pids = {await pool.fetchval("SELECT pg_backend_pid()") for _ in range(3)}
        assert len(pids) == 1
        assert await pool.fetchval("SHOW default_transaction_read_only") == ("on" if read_only else "off")


async def test_a_host_that_is_down_is_passed_over(database_url: str) -> None:
    connection = await connect(with_hosts(database_url, f"{LOOPBACK}:{any_free()}"), application_name="tests")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_host_that_is_silent_does_not_hide_the_next_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primary, "_HEAD_START_SECONDS", 0.01)
    async with silent_host() as silent:
        url = with_hosts(database_url, silent)
        async with await open_pool(url, size=1, application_name="tests") as pool:
            assert await pool.fetchval("SELECT 1") == 1


async def test_of_two_connections_at_the_same_moment_one_is_kept(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = asyncio.Barrier(2)
    connect_alone: Any = asyncpg.connect

    async def connect_together(*arguments: Any, **options: Any) -> asyncpg.Connection:
        connection: asyncpg.Connection = await connect_alone(*arguments, **options)
        await both.wait()
        return connection

    monkeypatch.setattr(asyncpg, "connect", connect_together)
    again = urlsplit(database_url).netloc.rpartition("@")[2]
    connection = await connect(with_hosts(database_url, again), application_name="one-of-two")

    async def is_alone() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'one-of-two'"
        return bool(await connection.fetchval(query) == 1)

    await eventually(is_alone)
    await connection.close()


async def test_a_server_that_refuses_writes_is_no_primary_for_writers(database_url: str) -> None:
    connection = await connect(database_url, application_name="tests")
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await connection.close()
    with pytest.raises(StorageUnavailable, match=r"no_primary.*DATABASE_URL"):
        await connect(database_url, application_name="tests")
    async with await open_pool(database_url, size=1, application_name="tests", read_only=True) as pool:
        assert await pool.fetchval("SELECT 1") == 1


async def test_what_a_server_says_is_reported_rather_than_that_another_is_down(database_url: str) -> None:
    parts = urlsplit(with_hosts(database_url, f"{LOOPBACK}:{any_free()}"))
    wrong = parts._replace(netloc=f"nobody:wrong@{parts.netloc.rpartition('@')[2]}").geturl()
    with pytest.raises(StorageUnavailable, match="refuses the login"):
        await connect(wrong, application_name="tests")
    down = parts._replace(netloc=f"{LOOPBACK}:{any_free()},{LOOPBACK}:{any_free()}").geturl()
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        await connect(down, application_name="tests")


async def test_migrations_are_run_on_the_primary_too(empty_database_url: str) -> None:
    url = with_hosts(empty_database_url, f"{LOOPBACK}:{any_free()}")
    await upgrade(url)
    assert await current_revision(url) == head_revision()
