"""100,000 events of the demo, duplicates and latecomers among them, through the front door and two workers."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.local import dev_file
from schemas.identifiers import canonical_event_id
from tests.support.waiting import eventually

EVENTS = 100_000


def analytics(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]


def answer(*arguments: str) -> str:
    ended = subprocess.run(analytics(*arguments), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@contextmanager
def started(data_dir: Path, redis_url: str, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the system on the servers of the tests; it must end cleanly."""
    ports = ("--ingest-port", "0", "--dashboard-port", "0")
    command = analytics("up", "--no-demo", "--workers", "2", "--data-dir", str(data_dir), *ports)
    environment = {**os.environ, "REDIS_URL": redis_url, "DATABASE_URL": database_url, "ANALYTICS_BATCH_SIZE": "1000"}
    with (data_dir / "up.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait()
    assert code == 0, (data_dir / "up.log").read_text()


def verified(data_dir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `verify` says, and the sum of the books over the partitions."""
    document = json.loads(answer("verify", "--json", "--data-dir", str(data_dir)))
    columns = ("appended", "stored", "duplicate", "suppressed", "dead_lettered", "in_flight")
    return document, {column: sum(book[column] for book in document["books"]) for column in columns}


@pytest.mark.timeout(300)
async def test_every_event_is_stored_once_and_every_aggregate_is_exact(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    file = tmp_path / "demo.ndjson.gz"
    answer("demo", "--events", str(EVENTS), "--seed", "11", "--out", str(file))
    with gzip.open(file) as lines:
        different = len({canonical_event_id(json.loads(line)["event_id"], "tests") for line in lines})
    assert different < EVENTS

    with started(tmp_path, redis_url, database_url) as process:
        await eventually(lambda: process.poll() is not None or dev_file.read(tmp_path))
        sent = json.loads(answer("send", str(file), "--json", "--data-dir", str(tmp_path)))
        assert (sent["read"], sent["accepted"], sent["rejected"]) == (EVENTS, EVENTS, 0)

        document, books = verified(tmp_path)
        while books["in_flight"]:
            document, books = verified(tmp_path)

    assert document["drift"] == 0
    assert document["clean"]
    assert all(book["balanced"] for book in document["books"])
    assert books == {
        "appended": EVENTS,
        "stored": different,
        "duplicate": EVENTS - different,
        "suppressed": 0,
        "dead_lettered": 0,
        "in_flight": 0,
    }
