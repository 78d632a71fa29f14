"""An id that is not a UUID belongs to its service, also across an upgrade from a release that mapped ids without it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from schemas.identifiers import canonical_event_id, uuid8
from storage.batches.batch import BatchCounts, ReceivedEvent
from storage.batches.writer import BatchWriter
from storage.database import migrate
from storage.database.pool import Pool, open_pool
from storage.retention import removal as retention
from tests.support.events import NOW, event, learner

QUARTER = timedelta(days=90)
WAYS = list(itertools.permutations(["before", "today"]))


def id_of(release: str, text: str, source: str) -> UUID:
    if release == "today":
        return canonical_event_id(text, source)
    return uuid8(b"\xff\xff" + hashlib.sha256(b"studyin/event-id/1\x00" + text.encode()).digest())


def xp(release: str, text: str = "order-4711", source: str = "shop", **changes: Any) -> AcceptedEvent:
    facts: dict[str, Any] = {"event_id": id_of(release, text, source), "source": source} | changes
    return event("xp_earned", {"xp_amount": 5}, **facts)


def received(events: Sequence[AcceptedEvent], first: int = 1) -> list[ReceivedEvent]:
    return [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events, first)]


async def total_xp(pool: Pool) -> int:
    total: int = await pool.fetchval("SELECT coalesce(sum(total_xp), 0)::int FROM gamification_stats")
    return total


@pytest.mark.parametrize("way", WAYS, ids=" then ".join)
async def test_an_event_that_comes_again_after_the_upgrade_counts_once(pool: Pool, way: Sequence[str]) -> None:
    writer = BatchWriter(pool, 0)
    first, second = (xp(release) for release in way)
    assert await writer.write(0, received([first]), []) == BatchCounts(1, 0, 0, 0, 0)
    assert await writer.write(0, received([second], 2), []) == BatchCounts(0, 1, 0, 0, 0)
    assert await writer.write(0, received([second], 2), []) == BatchCounts(0, 0, 0, 0, 1)
    assert await writer.write(0, received([first]), []) == BatchCounts(0, 0, 0, 0, 1)
    assert await total_xp(pool) == 5


@pytest.mark.parametrize("way", WAYS, ids=" then ".join)
async def test_it_counts_once_in_one_batch_too(pool: Pool, way: Sequence[str]) -> None:
    batch = [xp(release) for release in (*way, *way)]
    assert await BatchWriter(pool, 0).write(0, received(batch), []) == BatchCounts(1, 3, 0, 0, 0)
    assert await total_xp(pool) == 5


async def test_the_same_text_of_another_service_is_another_event(pool: Pool) -> None:
    writer = BatchWriter(pool, 0)
    await writer.write(0, received([xp("before")]), [])
    others = [xp("today", source="school"), xp("today", source="gym")]
    assert await writer.write(0, received(others, 2), []) == BatchCounts(2, 0, 0, 0, 0)
    assert await total_xp(pool) == 15


async def test_two_workers_that_store_an_event_under_both_of_its_ids_count_it_once(pool: Pool) -> None:
    for number in range(20):
        one, other = (BatchWriter(pool, slot) for slot in (1, 2))
        text, entries = f"order-{number}", 10 * number
        counts = await asyncio.gather(
            one.write(0, received([xp("before", text)], entries + 1), []),
            other.write(0, received([xp("today", text)], entries + 2), []),
        )
        assert sorted(count.stored for count in counts) == [0, 1]
    assert await total_xp(pool) == 100


async def test_an_event_of_an_erased_learner_stays_out_under_either_id(pool: Pool) -> None:
    await pool.execute("INSERT INTO erased_users (user_hash) VALUES ($1)", learner(0))
    writer = BatchWriter(pool, 0)
    batch = [xp("before"), xp("today")]
    assert await writer.write(0, received(batch), []) == BatchCounts(0, 0, 2, 0, 0)


async def test_an_event_that_was_parked_does_not_keep_the_same_event_under_its_other_id_out(pool: Pool) -> None:
    await pool.execute("INSERT INTO dead_letters VALUES (0, '1-0', NULL, 'reason', 'detail', '{}')")
    batch = [xp("before"), xp("today")]
    assert await BatchWriter(pool, 0).write(0, received(batch), []) == BatchCounts(1, 0, 0, 0, 1)


async def test_a_removed_event_is_recognised_under_its_other_id(pool: Pool) -> None:
    writer = BatchWriter(pool, 0)
    await writer.write(0, received([xp("before", received_at=NOW - QUARTER)]), [])
    assert await retention.drop_expired(pool, NOW, timedelta(days=30)) == 1
    assert await writer.write(0, received([xp("today")], 2), []) == BatchCounts(0, 1, 0, 0, 0)
    assert await total_xp(pool) == 5


async def test_the_search_ends_once_no_event_of_the_release_before_is_left(pool: Pool) -> None:
    still = "SELECT count(*) FROM unscoped_event_ids"
    await retention.drop_expired(pool, NOW + timedelta(days=30), timedelta(days=30))
    assert await pool.fetchval(still) == 1
    await retention.drop_expired(pool, NOW + timedelta(days=38), timedelta(days=30))
    assert await pool.fetchval(still) == 0


async def test_a_database_of_the_release_before_counts_nothing_twice(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url, "0008")
    row = ", ".join(f"${number}" for number in range(1, 11))
    async with await open_pool(empty_database_url, size=2, application_name="tests") as pool:
        await pool.execute(f"INSERT INTO analytics_events VALUES ({row}, 0, '1-0')", *xp("before"))
        await migrate.upgrade(empty_database_url)
        writer = BatchWriter(pool, 0)
        batch = [xp("today"), xp("today", source="school"), xp("today", "order-4712")]
        assert await writer.write(0, received(batch, 2), []) == BatchCounts(2, 1, 0, 0, 0)
