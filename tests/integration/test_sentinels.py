"""The primary is found through Redis Sentinel: real sentinels, and a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.local.embedded.ports import any_free
from cli.local.embedded.valkey import Valkey
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.entry import encode
from stream.entries.producer import Producer
from stream.keys import stream_key
from stream.server.connection import Redis, connect
from stream.server.health import primary
from tests.support.events import event
from tests.support.redis_users import as_user, redis_users
from tests.support.sentinels import Sentinels, sentinels
from tests.support.system import analytics


@pytest.fixture
def watchers(data_directory: Path, own_valkey: Valkey) -> Iterator[Sentinels]:
    with sentinels(data_directory, own_valkey, count=1) as running:
        yield running


@asynccontextmanager
async def client_of(url: str, *, blocking: bool = False) -> AsyncIterator[Redis]:
    client = connect(Settings.model_validate({"redis_url": url}), blocking=blocking)
    try:
        yield client
    finally:
        await client.aclose()


async def test_the_primary_is_found_and_written_to(watchers: Sentinels) -> None:
    async with client_of(watchers.url) as redis, client_of(watchers.url, blocking=True) as reader:
        assert await primary(redis) == "is a primary"
        await Producer(redis, 1, "local").append([encode(event("session_start"))])
        assert await reader.xlen(stream_key(0)) == 1


async def test_the_user_of_every_process_may_connect(watchers: Sentinels) -> None:
    async with client_of(watchers.url) as operator, redis_users(operator) as users:
        for user in users:
            url = as_user(Settings.model_validate({"redis_url": watchers.url}), user, users).redis_dsn
            async with client_of(url) as redis:
                assert await primary(redis) == "is a primary"


async def test_a_user_of_the_sentinels_needs_the_documented_rights_only(watchers: Sentinels) -> None:
    rights = ("+sentinel|masters", "+client|setname", "+client|setinfo", "+ping")
    async with watchers.client_of(watchers.ports[0]) as sentinel:
        acl: Any = sentinel.execute_command
        await acl("ACL", "SETUSER", "reader", "on", ">secret", *rights)
    url = watchers.url_of(watchers.ports, login="sentinel_username=reader&sentinel_password=secret")
    async with client_of(url) as redis:
        assert await primary(redis) == "is a primary"


def test_a_command_finds_it_too(watchers: Sentinels, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", watchers.url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert "balanced" in analytics("verify")


async def test_a_sentinel_that_is_down_is_passed_over(watchers: Sentinels) -> None:
    async with client_of(watchers.url_of([any_free(), *watchers.ports])) as redis:
        assert await primary(redis) == "is a primary"


async def test_without_a_primary_the_reason_is_said(watchers: Sentinels) -> None:
    for url in (
        watchers.url_of(watchers.ports, service="another"),
        watchers.url_of(watchers.ports, login="sentinel_password=another"),
        watchers.url_of([any_free()]),
    ):
        async with client_of(url) as redis:
            with pytest.raises(StreamUnavailable, match="no_primary"):
                await primary(redis)


async def test_a_former_primary_that_a_sentinel_still_names_is_not_used(
    own_valkey: Valkey, watchers: Sentinels
) -> None:
    async with client_of(watchers.url) as redis, client_of(own_valkey.url) as direct:
        await direct.replicaof("127.0.0.1", "1")
        with pytest.raises(StreamUnavailable, match=r"read_only\): ConnectionError"):
            await primary(redis)
