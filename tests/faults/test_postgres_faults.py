"""Postgres is stopped repeatedly during a COPY: no event is lost, parked or counted twice."""

from __future__ import annotations

import asyncio
import os
import signal

import asyncpg
import pytest
from pydantic import SecretStr

from cli.local.embedded.postgres import Postgres
from runtime.settings import Settings
from storage.database.migrate import upgrade
from tests.support.checker import assert_nothing_lost
from tests.support.fleet import ingest_with_senders, running
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

STOPS = 5

COPYING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%staged_events%' AND wait_event = 'ClientRead'"


@pytest.fixture
async def own_settings(own_postgres: Postgres, settings: Settings) -> Settings:
    """Settings with a Postgres server that this test may stop."""
    await upgrade(own_postgres.url)
    return settings.model_copy(update={"database_url": SecretStr(own_postgres.url)})


@pytest.mark.timeout(180)
async def test_stopped_at_once_in_the_middle_of_a_copy(own_postgres: Postgres, own_settings: Settings) -> None:
    async with Proxy(own_postgres.url).running() as proxy:
        behind_proxy = own_settings.model_copy(update={"database_url": SecretStr(proxy.url)})
        async with running(behind_proxy, ["worker"]), ingest_with_senders(own_settings) as senders:
            for _ in range(STOPS):
                proxy.hold_at(b'COPY "staged_events"')
                await until_copying(own_postgres)
                stop_at_once(own_postgres)
                await senders.accepted_more(200)
                await asyncio.to_thread(own_postgres.restart)
        async with running(own_settings, ["worker"]):
            await assert_nothing_lost(own_settings, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) == {"202"}


async def until_copying(server: Postgres) -> None:
    watcher = await asyncpg.connect(server.url)
    try:
        await eventually(lambda: watcher.fetchval(COPYING))
    finally:
        await watcher.close()


def stop_at_once(server: Postgres) -> None:
    """Stop as `pg_ctl stop --mode=immediate` does. The server recovers at its next start."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)
