"""Event search: the cost of a page does not depend on the window, and pages are stable while events arrive."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from schemas.accepted import AcceptedEvent
from storage.answers import event_search
from storage.answers.event_search import EventArchive, EventSearch, SearchTooWide, position_of, read_page, read_pages
from storage.database.pool import open_pool
from tests.support.archive import archive
from tests.support.events import NOW, event, learner

SQL = Path(event_search.__file__).parent / "sql"
MINUTE = timedelta(minutes=1)
ALL = EventSearch(NOW - timedelta(days=60), NOW + MINUTE)
SESSION = UUID(int=7)
SOME = 500
"""Rows of a partition from which on only the index that a statement was written for is cheap."""


def history(count: int, step: timedelta = 10 * MINUTE) -> list[AcceptedEvent]:
    """Return events of twenty learners, newest first, in groups of three with the same time."""
    return [
        event(
            "xp_earned" if number % 5 else "level_up",
            {"xp_amount": number},
            number=number,
            occurred_at=NOW - step * (number // 3),
            user_hash=learner(number % 20),
            session_id=SESSION if number % 7 == 0 else None,
        )
        for number in range(count)
    ]


def in_order(events: list[AcceptedEvent]) -> list[AcceptedEvent]:
    return sorted(events, key=position_of, reverse=True)


async def all_pages(database: asyncpg.Connection, search: EventSearch, size: int) -> list[AcceptedEvent]:
    return [found async for page in read_pages(database, search, 10_000, size) for found in page]


async def test_every_condition_narrows_the_search(database: asyncpg.Connection) -> None:
    events = history(300)
    await archive(database, events)

    async def ids(**conditions: Any) -> list[UUID]:
        search = EventSearch(**{"since": ALL.since, "until": ALL.until} | conditions)
        return [found.event_id for found in await all_pages(database, search, 40)]

    def expected(holds: Any) -> list[UUID]:
        return [one.event_id for one in in_order(events) if holds(one)]

    assert await all_pages(database, ALL, 40) == in_order(
        [one._replace(properties=json.dumps(json.loads(one.properties))) for one in events]
    )
    assert await ids(types=("level_up",)) == expected(lambda one: one.event_type == "level_up")
    assert len(await ids(types=("level_up", "xp_earned"))) == 300
    assert await ids(session_id=SESSION) == expected(lambda one: one.session_id == SESSION)
    both = (learner(1), learner(2), b"nobody")
    assert await ids(user_hashes=both) == expected(lambda one: one.user_hash in both)
    assert await ids(user_hashes=both, types=("level_up",), session_id=SESSION) == expected(
        lambda one: one.user_hash in both and one.event_type == "level_up" and one.session_id == SESSION
    )
    since, until = NOW - 500 * MINUTE, NOW - 100 * MINUTE
    inside = expected(lambda one: since <= one.occurred_at < until)
    assert await ids(since=since, until=until) == inside
    of_both = set(expected(lambda one: one.user_hash in both))
    assert await ids(since=since, until=until, user_hashes=both) == [one for one in inside if one in of_both] != []


@pytest.mark.parametrize("learners", [None, (learner(1), learner(2))], ids=["by time", "of a learner"])
async def test_pages_hold_each_event_once_while_more_come_in(
    database: asyncpg.Connection, learners: tuple[bytes, ...] | None
) -> None:
    events = history(200)
    early, late = events[::2], events[1::2]
    await archive(database, early)
    search = EventSearch(ALL.since, ALL.until, user_hashes=learners)
    found: list[AcceptedEvent] = []
    while page := await read_page(database, search, 7, position_of(found[-1]) if found else None):
        found += page
        await archive(database, [late.pop() for _ in range(min(10, len(late)))])
    assert len(late) < 100
    ids = [one.event_id for one in found]
    assert len(ids) == len(set(ids))
    assert found == in_order(found)
    # all events from before the search are found, and of later ones those after the current position
    assert {one.event_id for one in early if learners is None or one.user_hash in learners} <= set(ids)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("names", [0, 1, 2], ids=["by time", "of a learner", "of a learner with two names"])
async def test_a_page_of_a_long_window_reads_a_page_by_the_index(
    database: asyncpg.Connection, names: int, mode: str
) -> None:
    await archive(database, history(6_000, step=20 * MINUTE))
    await database.execute("ANALYZE analytics_events")
    await database.execute(f"SET plan_cache_mode = {mode}; SET enable_seqscan = off")
    limit = 20
    place = (ALL.until, UUID(int=0))
    if names:
        statement, index = (SQL / "learner_events.sql").read_text(), "_user_hash_occurred_at_idx"
        more = [[learner(1), learner(2)][:names]]
    else:
        statement, index, more = (SQL / "events.sql").read_text(), "_occurred_at_idx", []
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
    [document] = json.loads(await database.fetchval(explain, ALL.since, *place, None, None, limit, *more))
    assert document["Plan"]["Actual Rows"] == limit
    scans = [node for node in nodes(document["Plan"]) if node.get("Relation Name", "").startswith("analytics_events")]
    assert {node["Node Type"] for node in scans} == {"Index Scan"}
    # a partition whose week has just begun is so small that the planner may take either index
    counted = await database.fetch("SELECT tableoid::regclass::text AS name, count(*) FROM analytics_events GROUP BY 1")
    sizes = {row["name"]: row["count"] for row in counted}
    large = [node for node in scans if sizes.get(node["Relation Name"], 0) >= SOME]
    assert len(large) >= 3
    assert [node for node in large if not node["Index Name"].endswith(index)] == []
    read = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in large)
    # one more row per partition to find the newest, and rows with the same time
    assert read <= max(names, 1) * (limit + len(scans) + 3)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    limit = timedelta(milliseconds=100)
    pool = await open_pool(database_url, size=1, application_name="test", statement_timeout=limit, read_only=True)
    yield pool
    await pool.close()


async def test_a_search_that_takes_too_long_is_stopped_and_says_so(
    database: asyncpg.Connection, pool: asyncpg.Pool
) -> None:
    await archive(database, history(3))
    searches = EventArchive(pool)
    assert len(await searches.page(ALL, 10)) == 3
    # checking a row takes half a second
    await database.execute(
        "ALTER TABLE analytics_events RENAME TO hidden; CREATE VIEW analytics_events AS"
        " SELECT hidden.* FROM hidden, LATERAL (SELECT pg_sleep(0.5 + 0 * schema_version)) AS slow"
    )
    for learners in (None, (learner(0),)):
        with pytest.raises(SearchTooWide):
            await searches.page(EventSearch(ALL.since, ALL.until, user_hashes=learners), 10)
