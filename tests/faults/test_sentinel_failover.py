"""The primary of Redis is killed, and Sentinel replaces it: nothing accepted is lost, and nobody is restarted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from runtime.settings import Settings
from tests.support.checker import assert_nothing_lost
from tests.support.fleet import ingest_with_senders, running
from tests.support.replication import follow, pair
from tests.support.sentinels import sentinels


@pytest.mark.timeout(180)
async def test_a_primary_that_is_killed_is_replaced_and_nothing_is_lost(
    data_directory: Path, settings: Settings
) -> None:
    with pair(data_directory) as (first, second):
        await follow(second, first)
        with sentinels(data_directory, first) as watchers:
            await watchers.watch(replicas=1)
            found = settings.model_copy(update={"redis_url": SecretStr(watchers.url), "durability": "replica"})
            async with running(found, ["worker", "worker", "live", "maintenance"]):
                async with ingest_with_senders(found) as senders:
                    await senders.accepted_more(300)
                    first.kill()
                    await senders.refused_more(20)
                    await watchers.agree_on(second)
                    # a failover back would meet the change of roles below: the named primary would be made a replica
                    await watchers.hold()
                    # without a replica nothing is accepted; the sentinels would need ten seconds to make it one
                    await asyncio.to_thread(first.restart)
                    await follow(first, second)
                    await senders.accepted_more(300)
                await assert_nothing_lost(found, senders.accepted, senders.sent, parked=0)
    assert set(senders.answers) <= {"202", "connection", "no_primary", "read_only", "not_durable", "timeout"}
