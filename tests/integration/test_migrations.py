"""The schema comes up from empty, goes down, and comes up again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage import migrate

TABLES = {
    "analytics_events",
    "learning_sessions",
    "gamification_stats",
    "daily_activity_summary",
    "ai_coach_metrics",
    "learner_materials",
    "system_metrics",
}


async def relations(url: str) -> set[tuple[str, str]]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname, relkind::text AS kind FROM pg_class"
            " WHERE relnamespace = ANY (ARRAY(SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'retired')))"
            " AND relname NOT LIKE 'alembic%'"
        )
    finally:
        await connection.close()
    return {(row["relname"], row["kind"]) for row in rows}


async def test_up_down_and_up_again(empty_database_url: str) -> None:
    assert await migrate.current_revision(empty_database_url) is None

    await migrate.upgrade(empty_database_url)
    first = await relations(empty_database_url)
    assert await migrate.current_revision(empty_database_url) == migrate.head_revision()
    assert {name for name, kind in first if kind in "rp"} >= TABLES
    assert ("hourly_analytics_summary", "m") in first

    await migrate.downgrade(empty_database_url, "base")
    assert await relations(empty_database_url) == set()

    await migrate.upgrade(empty_database_url)
    assert await relations(empty_database_url) == first


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_kind_of_index_of_the_events(connection: asyncpg.Connection) -> None:
    definitions = " | ".join(
        row["indexdef"]
        for row in await connection.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'analytics_events'")
    )
    assert "btree (event_id)" in definitions
    assert "btree (occurred_at)" in definitions
    assert "btree (user_hash, occurred_at) WHERE (user_hash IS NOT NULL)" in definitions
    assert "gin (properties jsonb_path_ops)" in definitions


async def test_each_partition_has_its_parents_indexes(connection: asyncpg.Connection) -> None:
    count = await connection.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'analytics_events_properties'::regclass"
    )
    partitions = await connection.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'analytics_events'::regclass"
    )
    assert count == partitions > 15
