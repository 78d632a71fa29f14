"""Texts are stored unchanged, including characters that COPY treats specially."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas.accepted import AcceptedEvent
from schemas.entry import encode, pack
from storage.batches.batch import ReceivedEvent
from storage.batches.writer import BatchWriter
from storage.database.pool import open_pool
from tests.support.events import accepted_events, event

COLUMNS = ", ".join(AcceptedEvent._fields)
ODD = [
    *("\\", "\\\\", "\\N", "\\.", "\\t", "\\n", "\\x41", "\\101", "\t", "\n", "\r", "\r\n", "\v\b\f"),
    *("'", '"', "%s", "$1", "é", "日本", "\U0001f600", "\x1f", "\x7f", "\u2028"),
]
TEXTS = st.lists(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map("".join)
WRITTEN: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "in ASCII": {"ensure_ascii": True},
    "on lines": {"indent": 1},
    "with tabs": {"indent": "\t"},
    "with carriage returns": {"separators": ("\r\n,\r", "\t:\n")},
}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await open_pool(database_url, size=1, application_name="tests")
    yield pool
    await pool.close()


async def stored(pool: asyncpg.Pool, events: list[AcceptedEvent]) -> list[AcceptedEvent]:
    """Store the events; return them from the table in the same order."""
    await pool.execute("TRUNCATE analytics_events")
    received = [ReceivedEvent(f"{number}-0", pack(encode(one))) for number, one in enumerate(events, 1)]
    assert (await BatchWriter(pool, 0).write(0, received, [])).stored == len(events)
    rows = {row["event_id"]: row for row in await pool.fetch(f"SELECT {COLUMNS} FROM analytics_events")}
    return [AcceptedEvent(*rows[one.event_id]) for one in events]


def assert_same(found: AcceptedEvent, original: AcceptedEvent) -> None:
    assert found._replace(properties="") == original._replace(properties="")
    assert json.loads(found.properties) == json.loads(original.properties)


@pytest.mark.parametrize("options", WRITTEN.values(), ids=WRITTEN.keys())
async def test_a_character_that_copy_knows_is_only_itself(pool: asyncpg.Pool, options: dict[str, Any]) -> None:
    originals = []
    for number, odd in enumerate(ODD):
        facts = {f"key {odd}": odd, "around": f"a{odd}b", "list": [odd, odd], "object": {odd: odd}}
        properties = json.dumps(facts, **options)
        originals.append(event("session_start", number=2 * number, source=odd, properties=properties))
        originals.append(event("session_start", number=2 * number + 1, source=f"a{odd}b", properties=properties))
    for found, original in zip(await stored(pool, originals), originals, strict=True):
        assert_same(found, original)


async def test_a_source_may_be_empty_and_is_not_null(pool: asyncpg.Pool) -> None:
    [found] = await stored(pool, [event("session_start", source="")])
    assert found.source == ""


async def test_nobody_and_no_session_are_null(pool: asyncpg.Pool) -> None:
    await stored(pool, [event("api_error", {"endpoint": "/a", "error_type": "crash"}, user_hash=None, session_id=None)])
    assert (
        await pool.fetchval("SELECT count(*) FROM analytics_events WHERE user_hash IS NULL AND session_id IS NULL") == 1
    )


@st.composite
def told_in_any_words(draw: st.DrawFn) -> AcceptedEvent:
    """Draw an event with any time, source and properties, of a type whose properties no aggregate reads."""
    facts = draw(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS)))
    return draw(accepted_events())._replace(
        event_type=draw(st.sampled_from(["session_start", "material_view"])),
        occurred_at=draw(st.datetimes(timezones=st.just(UTC))),
        source=draw(TEXTS),
        properties=json.dumps(facts, **draw(st.sampled_from(list(WRITTEN.values())))),
    )


@pytest.mark.timeout(240)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(told_in_any_words(), min_size=1, max_size=10, unique_by=lambda one: one.event_id))
async def test_every_column_of_every_event_is_as_it_was(pool: asyncpg.Pool, events: list[AcceptedEvent]) -> None:
    for found, original in zip(await stored(pool, events), events, strict=True):
        assert_same(found, original)
