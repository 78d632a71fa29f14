"""Data of the previous release is read correctly: an event whose id is not a UUID counts exactly once.

That release mapped such an id without its service (ADR 38). In each test one event was stored before and comes again,
and another one was not stored yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest
from studyin_analytics import Client

from cli.commands.dlq_retry import retry_letters
from cli.sending.event_file import digest
from ingest.routes import BATCH
from ingest.server import create_app
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.entry import encode
from schemas.identifiers import canonical_event_id, uuid8
from storage.dead_letters import Selection
from stream.entries.lag import measure
from stream.server.connection import Redis
from tests.support.access import WRITE_KEY
from tests.support.entries import append_entry, as_read
from tests.support.events import NOW, event
from tests.support.reading import bearer
from tests.support.serving import served
from tests.support.terminal import Operator
from tests.support.waiting import eventually
from tests.support.working import working

FIRST, SECOND = "order-4711", "order-4712"
OLD_IDS: Final = {
    FIRST: "ffff2642-7d25-80c1-b642-2f927d4269f9",
    SECOND: "ffff62f9-5656-883b-b96f-9a0988ee5516",
}
"""Ids as the previous release mapped them."""

OLD_SPOOL: Final = """
CREATE TABLE events (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL,
    maker TEXT NOT NULL,
    holder TEXT NOT NULL,
    held_until REAL NOT NULL
)
"""


def sent(event_id: str | None) -> dict[str, Any]:
    """Return an event as a service sends it."""
    own = {} if event_id is None else {"event_id": event_id}
    return own | {
        "event_type": "xp_earned",
        "user_id": "anna",
        "timestamp": NOW.isoformat(),
        "properties": {"xp_amount": 5},
    }


def unscoped(text: str) -> str:
    """Return the id under which the previous release stored an event with this text as id, whatever its service."""
    return str(uuid8(b"\xff\xff" + hashlib.sha256(b"studyin/event-id/1\x00" + text.encode()).digest()))


def entry(settings: Settings, event_id: str) -> dict[bytes, bytes]:
    """Return an entry of the stream as the previous release appended it."""
    moment = NOW.isoformat().encode()
    return {
        b"event_id": event_id.encode(),
        b"event_type": b"xp_earned",
        b"user_hash": settings.pseudonymizer().pseudonym("anna").hex().encode(),
        b"session_id": b"",
        b"occurred_at": moment,
        b"received_at": moment,
        b"activity_date": moment[:10],
        b"schema_version": b"1",
        b"source": b"tests",
        b"properties": b'{"xp_amount":5}',
    }


@pytest.fixture
async def url(settings: Settings, redis: Redis) -> AsyncIterator[str]:
    async with served(create_app(settings, redis, asyncio.Event())) as place:
        yield f"http://{place}"


async def send_now(url: str, *events: dict[str, Any]) -> None:
    """Send events to the current ingest."""
    async with httpx.AsyncClient(base_url=url, headers=bearer(WRITE_KEY)) as client:
        assert (await client.post(BATCH, json=list(events))).status_code == 202


async def stored(settings: Settings, redis: Redis, database: asyncpg.Connection) -> int:
    """Run a worker until the stream is settled; return the number of stored events. Each has 5 XP."""

    async def is_settled() -> bool:
        lag = await measure(redis, 0)
        return lag.appended > 0 and lag.undelivered == lag.pending == 0

    async with working(settings):
        await eventually(is_settled)
    count: int = await database.fetchval("SELECT count(*)::int FROM analytics_events")
    assert await database.fetchval("SELECT sum(total_xp)::int FROM gamification_stats") == 5 * count
    return count


async def test_dead_letters(settings: Settings, redis: Redis, database: asyncpg.Connection, url: str) -> None:
    for number, text in enumerate((FIRST, SECOND), 1):
        fields = {name.decode(): value.decode() for name, value in entry(settings, OLD_IDS[text]).items()}
        payload = json.dumps(fields | {"properties": {"xp_amount": 5}})
        await database.execute(
            "INSERT INTO dead_letters VALUES (0, $1, $2, 'rejected_by_database', '', $3)",
            *(f"{number}-0", OLD_IDS[text], payload),
        )
    # the sender has repeated the event meanwhile
    await send_now(url, sent(FIRST))
    assert await stored(settings, redis, database) == 1
    outcome = await retry_letters(settings, Selection(), utc_now(), dry_run=False)
    assert (outcome.selected, outcome.possible, outcome.hopeless) == (2, 2, [])
    assert await stored(settings, redis, database) == 2


async def test_entries_of_the_stream_that_are_replayed(
    settings: Settings, redis: Redis, database: asyncpg.Connection, url: str, tmp_path: Path
) -> None:
    for text in (FIRST, SECOND):
        await append_entry(redis, entry(settings, OLD_IDS[text]))
    await send_now(url, sent(FIRST))
    ended = await Operator(settings, tmp_path).run("replay", "--from", "1h", "--json")
    told = ended.document()
    assert (ended.code, told["entries"], told["stored"], told["duplicate"]) == (0, 3, 2, 1)
    assert await stored(settings, redis, database) == 2


async def test_an_entry_of_this_release_that_the_one_before_parked(
    settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    one = event("xp_earned", {"xp_amount": 5})
    entry_id = await append_entry(redis, as_read(encode(one)))
    await database.execute(
        "INSERT INTO dead_letters VALUES (0, $1, NULL, 'missing_field', '', $2)",
        *(entry_id, '{"(others)": {"count": 1, "bytes": 300}}'),
    )
    outcome = await retry_letters(settings, Selection(), utc_now(), dry_run=False)
    assert (outcome.selected, outcome.possible, outcome.hopeless) == (1, 1, [])
    assert await stored(settings, redis, database) == 1


def leave_spool(directory: Path, *texts: str) -> None:
    """Create the spool of a killed process of the previous release."""
    directory.chmod(0o700)
    file = directory / "events.sqlite3"
    with closing(sqlite3.connect(file)) as spool, spool:
        spool.executescript(OLD_SPOOL)
        spool.executemany(
            "INSERT INTO events (body, maker, holder, held_until) VALUES (?, 'gone', 'gone', 0)",
            [(json.dumps(sent(text)).encode(),) for text in texts],
        )
    file.chmod(0o600)


async def test_a_spool_of_the_sdk(
    settings: Settings, redis: Redis, database: asyncpg.Connection, url: str, tmp_path: Path
) -> None:
    # stored, but the process ended before it received the answer
    await append_entry(redis, entry(settings, OLD_IDS[FIRST]))
    assert await stored(settings, redis, database) == 1
    leave_spool(tmp_path, FIRST, SECOND)
    client = Client(url, write_key=WRITE_KEY, spool_dir=tmp_path)
    assert await asyncio.to_thread(client.flush, 30)
    assert await asyncio.to_thread(client.shutdown, 30)
    assert (client.stats().accepted, client.stats().pending) == (2, 0)
    assert await stored(settings, redis, database) == 2


async def test_a_file_that_was_sent_in_part(
    settings: Settings, redis: Redis, database: asyncpg.Connection, url: str, tmp_path: Path
) -> None:
    # without an event_id: that release derived the id of a line from its number and content, and recorded no input name
    lines = [json.dumps(sent(None)).encode()] * 3
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(lines) + b"\n")
    noted = {"line": 1, "digest": digest(lines[0]), "read": 1, "accepted": 1, "rejected": 0, "rejected_bytes": 0}
    (tmp_path / "events.ndjson.progress").write_text(json.dumps(noted | {"seconds": 0.5}) + "\n")
    # two lines were stored, one of which was acknowledged
    for number, line in enumerate(lines[:2], 1):
        text = f"line-{hashlib.sha256(b'%d %b' % (number, line)).hexdigest()}"
        await append_entry(redis, entry(settings, unscoped(text)))
    assert await stored(settings, redis, database) == 2
    ended = await Operator(settings, tmp_path).run("send", str(file), "--url", url, "--key", WRITE_KEY, "--json")
    assert ended.code == 0, ended.err
    told = ended.document()
    assert (told["read"], told["accepted"], told["rejected"]) == (3, 3, 0)
    assert await stored(settings, redis, database) == 3


def test_the_ids_are_those_of_the_release_before() -> None:
    for text, event_id in OLD_IDS.items():
        assert unscoped(text) == event_id != str(canonical_event_id(text, "tests"))
