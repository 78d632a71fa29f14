"""The demo as a process: a history once, then live traffic through outages, and a clean exit."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.local import dev_file
from cli.local.dev_file import DevFile
from tests.support.commands import command_line
from tests.support.running import running
from tests.support.scripted_ingest import Event, Saying, ScriptedIngest, accept_all, verdicts
from tests.support.waiting import eventually

SMALL = ("--users", "10", "--history-days", "3")
HISTORY = 10 * 3 * 12


@pytest.fixture
def ingest() -> Iterator[ScriptedIngest]:
    with ScriptedIngest(accept_all).running() as server:
        yield server


@pytest.fixture
def data_dir(ingest: ScriptedIngest, tmp_path: Path) -> Path:
    """A data directory that the demo takes for that of a running system."""
    dev_file.write(tmp_path, DevFile(ingest.url, "", "key", "", "", "", "", ""))
    return tmp_path


def command(*arguments: str) -> list[str]:
    return command_line("demo", *arguments)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@asynccontextmanager
async def live(data_dir: Path, *arguments: str) -> AsyncIterator[None]:
    """Run the live demo for the block. It must not exit by itself, and must stop cleanly."""
    live_command = command("--data-dir", str(data_dir), *arguments)
    async with running(*live_command, log=data_dir / "log", environment=os.environ) as process:
        yield
        assert process.returncode is None


def sent(ingest: ScriptedIngest) -> list[Event]:
    return [event for events in ingest.requests for event in events]


def test_a_number_of_events_is_sent_and_counted(ingest: ScriptedIngest) -> None:
    ended = run("--url", ingest.url, "--key", "key", "--events", "2500", "--users", "5")
    assert (ended.returncode, ended.stdout) == (0, "2,500 accepted, 0 rejected\n"), ended.stderr
    assert len(sent(ingest)) == 2500


def test_a_pace_is_kept_to_the_last_event(ingest: ScriptedIngest) -> None:
    ended = run("--url", ingest.url, "--key", "key", "--events", "90", "--rate", "200", "--users", "5")
    assert (ended.returncode, ended.stdout) == (0, "90 accepted, 0 rejected\n"), ended.stderr
    assert max(map(len, ingest.requests)) <= 51


def test_rejections_are_told(ingest: ScriptedIngest) -> None:
    ingest.script = lambda events: verdicts(["rejected"] * len(events))
    ended = run("--url", ingest.url, "--key", "key", "--events", "10")
    assert (ended.returncode, ended.stdout) == (1, "0 accepted, 10 rejected\n")
    assert ended.stderr.count("rejected_by_test") == 1


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
def test_a_file_holds_one_event_a_line(tmp_path: Path, name: str) -> None:
    ended = run("--events", "500", "--out", str(tmp_path / name))
    assert ended.returncode == 0, ended.stderr
    content = (tmp_path / name).read_bytes()
    lines = (gzip.decompress(content) if name.endswith(".gz") else content).splitlines()
    assert len(lines) == 500
    assert all(json.loads(line)["event_type"] for line in lines)


def test_live_goes_with_no_number(tmp_path: Path) -> None:
    assert run("--live", "--events", "5").returncode == 2


async def test_live_sends_a_history_once_then_what_happens_now(ingest: ScriptedIngest, data_dir: Path) -> None:
    async with live(data_dir, "--rate", "100", *SMALL):
        await eventually(lambda: len(sent(ingest)) >= HISTORY + 50)
    first = sent(ingest)
    days = {event["timestamp"][:10] for event in first[:HISTORY]}
    assert len(days) >= 2
    ingest.requests.clear()
    async with live(data_dir, "--rate", "100", *SMALL):
        await eventually(lambda: len(sent(ingest)) >= 50)
    ids = {event["event_id"] for event in first}
    assert not ids & {event["event_id"] for event in sent(ingest)}
    assert max(map(len, ingest.requests)) <= 26


async def test_a_history_that_was_cut_short_is_sent_again_the_same(ingest: ScriptedIngest, data_dir: Path) -> None:
    ingest.script = lambda _events: Saying(503)
    async with live(data_dir, *SMALL):
        await eventually(lambda: ingest.requests)
    cut_short = ingest.requests[0]
    ingest.script = accept_all
    ingest.requests.clear()
    async with live(data_dir, *SMALL):
        await eventually(lambda: ingest.requests)
    assert ingest.requests[0] == cut_short
    assert len(cut_short) == HISTORY


async def test_live_outlives_an_ingest_that_is_away_for_a_while(ingest: ScriptedIngest, data_dir: Path) -> None:
    async with live(data_dir, "--rate", "100", *SMALL):
        await eventually(lambda: len(sent(ingest)) >= HISTORY + 10)
        ingest.script = lambda _events: None
        before = len(ingest.requests)
        await eventually(lambda: len(ingest.requests) >= before + 3)
        ingest.script = accept_all
        before = len(ingest.requests)
        await eventually(lambda: len(ingest.requests) >= before + 3)
