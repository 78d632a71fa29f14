"""The schema migrates up from an empty database, down, and up again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from storage.database import migrate
from storage.database.revision import current_revision, head_revision

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
    assert await current_revision(empty_database_url) is None

    await migrate.upgrade(empty_database_url)
    first = await relations(empty_database_url)
    assert await current_revision(empty_database_url) == head_revision()
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


async def horizon_after(url: str, *statements: str) -> tuple[datetime, datetime]:
    """Run the statements at the previous revision, migrate up, and return the horizons."""
    await migrate.upgrade(url, "0007")
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
        await migrate.upgrade(url)
        row = await connection.fetchrow("SELECT ordered_before, mapped_before FROM retention_horizon")
        assert row is not None
        return row["ordered_before"], row["mapped_before"]
    finally:
        await connection.close()


LATEST = datetime.now(UTC) - timedelta(days=100)
RETIRED_LEARNER = """
INSERT INTO retired.gamification_stats (user_hash, total_xp, event_count, first_event_at, last_event_at)
VALUES ('x', 1, 1, '{0}', '{0}')
"""
ERASED_TODAY = "INSERT INTO retired.hourly_event_counts VALUES (date_trunc('hour', now()), '{}', 0, 1, 0)"


async def test_a_database_that_removed_nothing_has_no_horizon(empty_database_url: str) -> None:
    never = datetime(1970, 1, 1, tzinfo=UTC)
    assert await horizon_after(empty_database_url, ERASED_TODAY.format("xp_earned")) == (never, never)


async def test_a_database_that_removed_events_gets_a_horizon_above_them(empty_database_url: str) -> None:
    ordered, mapped = await horizon_after(
        empty_database_url, RETIRED_LEARNER.format(LATEST), ERASED_TODAY.format("xp_earned")
    )
    assert LATEST < ordered <= LATEST + timedelta(days=7)
    assert (ordered.weekday(), ordered.hour) == (0, 0)
    assert mapped == LATEST + timedelta(microseconds=1)


async def test_an_erasure_of_today_puts_no_horizon_where_retention_never_reached(empty_database_url: str) -> None:
    ordered, mapped = await horizon_after(empty_database_url, ERASED_TODAY.format("api_request"))
    now = datetime.now(UTC)
    assert now - timedelta(days=22) <= ordered <= now - timedelta(days=15)
    assert mapped <= now - timedelta(hours=23)


async def test_weeks_below_the_oldest_partition_of_a_database_that_removed_events_are_gone(
    empty_database_url: str,
) -> None:
    week = (datetime.now(UTC) - timedelta(weeks=15)).date()
    oldest = week - timedelta(days=week.weekday())
    ordered, _ = await horizon_after(
        empty_database_url, f"DROP TABLE analytics_events_{oldest:%Y%m%d}", RETIRED_LEARNER.format("2020-01-01Z")
    )
    assert ordered.date() == oldest + timedelta(days=7)
