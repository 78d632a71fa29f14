from __future__ import annotations

import asyncpg
import redis

from runtime.settings import Settings
from storage.database.revision import current_revision, head_revision


async def test_each_test_has_a_migrated_database_of_its_own(settings: Settings) -> None:
    assert await current_revision(settings.database_dsn) == head_revision()
    connection = await asyncpg.connect(settings.database_dsn)
    await connection.execute("CREATE TABLE left_over (a int)")
    await connection.close()


async def test_nothing_is_left_over_in_the_next_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('left_over')") is None
    await connection.close()


def test_a_test_may_fill_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("left_over", 1)


def test_nothing_is_left_over_in_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
