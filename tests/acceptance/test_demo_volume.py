"""100,000 events of the demo, including duplicates and late events, over HTTP and through two workers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.identifiers import canonical_event_id
from tests.support.system import analytics, running_system

EVENTS = 100_000


def verified(data_dir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the result of `verify`, and the sum of the books over the partitions."""
    document = json.loads(analytics("verify", "--json", "--data-dir", str(data_dir)))
    columns = ("appended", "stored", "duplicate", "suppressed", "dead_lettered", "in_flight")
    return document, {column: sum(book[column] for book in document["books"]) for column in columns}


@pytest.mark.timeout(300)
async def test_every_event_is_stored_once_and_every_aggregate_is_exact(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    file = tmp_path / "demo.ndjson.gz"
    analytics("demo", "--events", str(EVENTS), "--seed", "11", "--out", str(file))
    with gzip.open(file) as lines:
        different = len({canonical_event_id(json.loads(line)["event_id"], "tests") for line in lines})
    assert different < EVENTS

    servers = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    async with running_system(tmp_path, "--workers", "2", ANALYTICS_BATCH_SIZE="1000", **servers):
        sent = json.loads(analytics("send", str(file), "--json", "--data-dir", str(tmp_path)))
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
