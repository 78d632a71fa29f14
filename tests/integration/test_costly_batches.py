"""Batches that are too costly to check are split and delivered: from the SDK, `analytics send` and Segment clients."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest
from studyin_analytics import Client
from uuid_utils.compat import uuid7

from cli.sending.delivery import IngestClient
from cli.sending.input_sender import InputSender
from cli.sending.journal import FileJournal, Progress
from cli.target import Target
from ingest.effort import BUDGET
from ingest.rejection import TOO_COSTLY
from ingest.segment.routes import BATCH as SEGMENT_BATCH
from ingest.server import create_app
from runtime.settings import Settings
from schemas.entry import read
from schemas.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES
from stream.server.connection import Redis
from telemetry import metrics
from tests.support.access import WRITE_KEY
from tests.support.checker import assert_nothing_lost
from tests.support.commands import command_line
from tests.support.entries import stream_entries
from tests.support.serving import served
from tests.support.working import working

EVENTS: Final = 2_400
MAX_ROUNDS: Final = 2 * EVENTS * 1_000 // BUDGET
"""Maximum number of requests, if each title costs 1,000 units and half of the work is wasted."""


def titles(test: str) -> list[str]:
    """Return long non-ASCII titles that no other test uses: cached texts cost nothing."""
    return [
        f"Лекция {number} ({test}): собственные значения и векторы, упражнения {number}.{number % 7} и решения"
        for number in range(EVENTS)
    ]


def event(title: str) -> dict[str, Any]:
    properties = {"achievement_id": "lecture", "achievement_name": title}
    return {"event_type": "achievement_earned", "event_id": str(uuid7()), "user_id": "anna", "properties": properties}


def asked_again() -> float:
    found = metrics.registry.get_sample_value("analytics_ingest_events_total", {"outcome": "retry"})
    return found or 0.0


@pytest.fixture
async def url(settings: Settings, redis: Redis) -> AsyncIterator[str]:
    async with served(create_app(settings, redis, asyncio.Event())) as place:
        yield f"http://{place}"


async def ids_in_stream(redis: Redis) -> list[str]:
    return sorted(read(fields).event_id for _, fields in await stream_entries(redis))


async def test_the_sdk_delivers_each_event_once(url: str, redis: Redis) -> None:
    before = asked_again()
    client = Client(
        url,
        write_key=WRITE_KEY,
        flush_at=MAX_BATCH_EVENTS,
        flush_interval=3_600,
        max_batch_bytes=MAX_BODY_BYTES,
        timeout=50,
        first_retry=0.01,
        longest_retry=0.02,
    )
    ids = [
        client.track(one["event_type"], user_id="anna", properties=one["properties"])
        for one in map(event, titles("sdk"))
    ]
    assert await asyncio.to_thread(client.shutdown, 50)
    stats = client.stats()
    assert (stats.accepted, stats.rejected, stats.set_aside, stats.dropped) == (EVENTS, 0, 0, 0)
    assert asked_again() > before
    assert 0 < stats.retried <= MAX_ROUNDS
    assert await ids_in_stream(redis) == sorted(ids)


def written(file: Path, *tests: str) -> list[str]:
    events = [event(title) for test in tests for title in titles(test)]
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in events), encoding="utf-8")
    return sorted(one["event_id"] for one in events)


async def test_analytics_send_delivers_each_line_once(url: str, redis: Redis, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    ids = written(file, "command")
    before = asked_again()
    command = command_line("send", str(file), "--url", url, "--key", WRITE_KEY, "--json")
    ended = await asyncio.to_thread(
        subprocess.run, [*command, "--batch-size", str(EVENTS)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert (said["read"], said["accepted"], said["rejected"]) == (EVENTS, EVENTS, 0)
    assert asked_again() > before
    assert await ids_in_stream(redis) == ids
    # neither a progress file nor rejected events remain
    assert os.listdir(tmp_path) == [file.name]


async def test_the_progress_of_a_file_counts_what_was_sent_in_several_requests(url: str, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    written(file, "progress", "more progress")
    noted: list[Progress] = []

    class Noting(FileJournal):
        def save(self, progress: Progress) -> None:
            super().save(progress)
            noted.append(Progress(**json.loads(self.progress_file.read_text())))

    before = asked_again()
    async with Target(url, WRITE_KEY).open(1) as client:
        sender = InputSender(file, IngestClient(client), Noting(file), clock=time.monotonic)
        await sender.send(batch_size=EVENTS, concurrency=1)
    assert asked_again() > before
    assert [(one.line, one.read, one.accepted, one.rejected) for one in noted] == [
        (lines, lines, lines, 0) for lines in (EVENTS, 2 * EVENTS)
    ]


async def test_segments_clients_are_told_to_come_back_and_nothing_counts_twice(
    url: str, settings: Settings, redis: Redis, database: asyncpg.Connection
) -> None:
    calls = [
        {"type": "track", "event": "Achievement Earned", "messageId": one["event_id"], "userId": "anna"}
        | {"properties": one["properties"]}
        for one in map(event, titles("segment"))
    ]
    async with httpx.AsyncClient(base_url=url, auth=(WRITE_KEY, ""), timeout=50) as client:
        refused = await client.post(SEGMENT_BATCH, json={"batch": calls})
        assert (refused.status_code, refused.json()["code"]) == (503, TOO_COSTLY.code)
        assert int(refused.headers["retry-after"]) > 0
        # part of the batch was appended
        assert 0 < len(await ids_in_stream(redis)) < EVENTS
        size = EVENTS // 8
        for start in range(0, EVENTS, size):
            reply = await client.post(SEGMENT_BATCH, json={"batch": calls[start : start + size]})
            assert reply.status_code == 200
            assert reply.json()["accepted"] == size
    ids = {str(call["messageId"]) for call in calls}
    appended = Counter(await ids_in_stream(redis))
    assert set(appended) == ids
    assert max(appended.values()) == 2
    async with working(settings):
        await assert_nothing_lost(settings, ids, ids, parked=0)
    assert await database.fetchval("SELECT sum(events)::int FROM hourly_event_counts") == EVENTS
