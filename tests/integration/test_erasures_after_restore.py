"""A database that was restored to a time before an erasure learns of it from Redis, and erases the learner again."""

from __future__ import annotations

from processors.maintenance.erasure import carry_out
from processors.maintenance.tombstones import TombstonePublisher
from runtime.settings import Settings
from storage.database.pool import Pool
from storage.privacy.erasure import read_tombstones, request_erasure
from stream.registry.tombstones import read_tombstones as read_published
from stream.server.connection import Redis
from tests.support.entries import append_events
from tests.support.events import event, learner
from tests.support.waiting import eventually
from tests.support.working import working


async def rows_of(pool: Pool, user_hash: bytes) -> int:
    found: int = await pool.fetchval("SELECT count(*) FROM analytics_events WHERE user_hash = $1", user_hash)
    return found


async def restore(pool: Pool) -> None:
    """Leave the database as a backup from before every erasure has it."""
    await pool.execute("DELETE FROM erasure_jobs")
    await pool.execute("DELETE FROM erased_users")


async def test_a_lost_erasure_is_repeated_by_the_first_publication_of_a_process(
    redis: Redis, settings: Settings, pool: Pool
) -> None:
    await request_erasure(pool, [learner(1)], "tests")
    await TombstonePublisher(redis, pool).publish()
    await restore(pool)
    await append_events(redis, [event("xp_earned", number=1, user_hash=learner(1))])
    async with working(settings):

        async def is_stored() -> bool:
            return await rows_of(pool, learner(1)) == 1

        await eventually(is_stored)

    assert await TombstonePublisher(redis, pool).publish() == "published 1, 1 of them lost in a restore"
    assert await carry_out(redis, pool, [0]) == 1
    assert await rows_of(pool, learner(1)) == 0
    assert await pool.fetchval("SELECT requested_by FROM erasure_jobs") == "restore"


async def test_as_many_new_erasures_as_were_lost_hide_none_of_them(redis: Redis, pool: Pool) -> None:
    await request_erasure(pool, [learner(1)], "tests")
    await TombstonePublisher(redis, pool).publish()
    await restore(pool)
    await request_erasure(pool, [learner(2)], "tests")

    await TombstonePublisher(redis, pool).publish()
    both = {learner(1), learner(2)}
    assert await read_published(redis) == both
    assert set(await read_tombstones(pool)) == both


async def test_a_new_erasure_is_published_and_nothing_else_is_requested(redis: Redis, pool: Pool) -> None:
    publisher = TombstonePublisher(redis, pool)
    assert await publisher.publish() == "published 0"
    assert await publisher.publish() == "unchanged"
    await request_erasure(pool, [learner(1)], "tests")
    assert await publisher.publish() == "published 1"
    assert await publisher.publish() == "unchanged"
    assert await pool.fetchval("SELECT count(*) FROM erasure_jobs") == 1
