"""Another Postgres server becomes the primary: nothing is lost or parked, and nobody is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from cli.local.embedded.postgres import Postgres
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.database.leadership import leadership
from storage.database.migrate import upgrade
from tests.support.assembled import answering
from tests.support.checker import assert_nothing_lost
from tests.support.fleet import ingest_with_senders, running
from tests.support.proxy import Proxy
from tests.support.reading import OVERVIEW, READER
from tests.support.standby import address_of, commit_on_both, copy_of, promote, refuse_writes
from tests.support.waiting import eventually

FLEET = ("worker", "worker", "maintenance")


@dataclass(frozen=True)
class Pair:
    """A primary and its synchronous standby."""

    primary: Postgres
    standby: Postgres


@pytest.fixture
async def pair(own_postgres: Postgres, data_directory: Path) -> AsyncIterator[Pair]:
    await upgrade(own_postgres.url)
    standby = await asyncio.to_thread(copy_of, own_postgres, data_directory / "standby")
    try:
        await asyncio.to_thread(standby.start)
        await commit_on_both(own_postgres)
        yield Pair(own_postgres, standby)
    finally:
        standby.destroy()


def at(url: str, settings: Settings) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(url)})


@pytest.mark.timeout(180)
async def test_a_standby_that_is_promoted_is_used_at_once(pair: Pair, settings: Settings) -> None:
    both = at(address_of(pair.primary, pair.standby), settings)
    async with running(both, FLEET), answering(both) as dashboard:
        async with ingest_with_senders(both) as senders:
            await senders.accepted_more(300)
            await eventually(lambda: answers(dashboard))
            stop_at_once(pair.primary)
            await senders.accepted_more(300)
            await promote(pair.standby)
            await senders.accepted_more(300)
            await eventually(lambda: answers(dashboard))
        await assert_nothing_lost(both, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) == {"202"}


@pytest.mark.timeout(180)
async def test_an_address_that_moves_is_followed_although_no_connection_is_cut(pair: Pair, settings: Settings) -> None:
    async with Proxy(pair.primary.url).running() as proxy:
        address = at(proxy.url, settings)
        async with running(address, FLEET):
            async with ingest_with_senders(address) as senders:
                await senders.accepted_more(300)
                await refuse_writes(pair.primary)
                await senders.accepted_more(300)
                await promote(pair.standby)
                proxy.lead_to(pair.standby.url)
                await senders.accepted_more(300)
            await assert_nothing_lost(address, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) == {"202"}


async def test_a_leader_whose_server_begins_to_refuse_writes_leads_no_longer(own_postgres: Postgres) -> None:
    await upgrade(own_postgres.url)
    async with leadership(own_postgres.url) as term:
        assert term is not None
        await term.confirm()
        await refuse_writes(own_postgres)
        with pytest.raises(StorageUnavailable, match="read_only"):
            await eventually(term.confirm)
    with pytest.raises(StorageUnavailable, match="no_primary"):
        async with leadership(own_postgres.url):
            pass


def stop_at_once(server: Postgres) -> None:
    """Stop as `pg_ctl stop --mode=immediate` does."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)


async def answers(dashboard: str) -> bool:
    """Return whether the read service answers about a learner."""
    async with httpx.AsyncClient(base_url=f"http://{dashboard}") as client:
        return (await client.get(f"{OVERVIEW}?user_id=learner-1", headers=READER)).status_code == 200
