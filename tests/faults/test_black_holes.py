"""The network between processes drops packets and replies, delays and disconnects: no event is lost, all recover."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from runtime.settings import Settings
from stream.entries.books import read_stream_books
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.fleet import ingest_with_senders, running
from tests.support.proxy import Fault, Proxy
from tests.support.waiting import eventually

WORKERS = 2


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", Fault)
async def test_between_ingest_and_redis(settings: Settings, fault: Fault) -> None:
    async with Proxy(settings.redis_dsn).running() as proxy:
        behind_proxy = settings.model_copy(update={"redis_url": SecretStr(proxy.url)})
        async with running(settings, ["worker"]):
            async with ingest_with_senders(behind_proxy) as senders:
                await senders.accepted_more(200)
                proxy.break_down(fault)
                if fault is Fault.DELAY:
                    await senders.accepted_more(100)
                else:
                    await senders.refused_more(8)
                proxy.heal()
                await senders.accepted_more(200)
            await assert_nothing_lost(settings, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) <= {"202", "timeout", "connection"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("server", ["redis", "postgres"])
async def test_between_a_worker_and_a_server(settings: Settings, redis: Redis, server: str, fault: Fault) -> None:
    async with Proxy(settings.redis_dsn if server == "redis" else settings.database_dsn).running() as proxy:
        setting = {"redis": "redis_url", "postgres": "database_url"}[server]
        behind_proxy = settings.model_copy(update={setting: SecretStr(proxy.url)})
        async with ingest_with_senders(settings) as senders, running(behind_proxy, ["worker"] * WORKERS):
            await senders.accepted_more(200)
            await eventually(lambda: settled_more_than(redis, 100))
            proxy.break_down(fault)
            before = proxy.lost_connections
            if fault is Fault.DELAY:
                await senders.accepted_more(100)
            else:
                await eventually(lambda: proxy.lost_connections >= before + WORKERS)
            proxy.heal()
            settled = await settled_entries(redis)
            await eventually(lambda: settled_more_than(redis, settled))
        async with running(settings, ["worker"]):
            await assert_nothing_lost(settings, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) == {"202"}


async def settled_entries(redis: Redis) -> int:
    return (await read_stream_books(redis, 0)).settled or 0


async def settled_more_than(redis: Redis, entries: int) -> bool:
    return await settled_entries(redis) > entries
