"""The real replies of a server that refuses writes; nothing is appended."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from cli.local.embedded.valkey import Valkey
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.entry import encode
from stream.entries.producer import MAX_EVENTS_PER_CALL, Producer
from stream.keys import stream_key
from stream.server.connection import connect
from tests.support.events import event


@pytest.fixture
async def redis(own_valkey: Valkey) -> AsyncIterator[Redis]:
    client = connect(Settings.model_validate({"redis_url": own_valkey.url}))
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("min-replicas-to-write", "1", "no_replicas"),
        ("replicaof", "127.0.0.1 1", "read_only"),
        ("maxmemory", "1", "out_of_memory"),
    ],
)
async def test_a_refused_append_is_said_and_leaves_nothing(redis: Redis, setting: str, value: str, reason: str) -> None:
    producer = Producer(redis, 1)
    await producer.append([encode(event("session_start"))])
    if setting == "replicaof":
        await redis.replicaof(*value.split())
    else:
        await redis.config_set(setting, value)
    with pytest.raises(StreamUnavailable) as refused:
        await producer.append([encode(event("session_start", number=n)) for n in range(2 * MAX_EVENTS_PER_CALL)])
    assert refused.value.reason == reason
    assert await redis.xlen(stream_key(0)) == 1


async def test_a_server_that_forgot_the_script_is_given_it_again(redis: Redis, own_valkey: Valkey) -> None:
    producer = Producer(redis, 1)
    await producer.append([encode(event("session_start", number=1))])
    own_valkey.restart()
    with pytest.raises(StreamUnavailable):
        # the connection that was open; the client never retries an append by itself
        await producer.append([encode(event("session_start", number=2))])
    await producer.append([encode(event("session_start", number=2))])
    await redis.script_flush()
    await producer.append([encode(event("session_start", number=3))])
    assert await redis.xlen(stream_key(0)) == 3
