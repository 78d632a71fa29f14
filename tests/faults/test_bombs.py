"""Small requests that expand to large data: memory and the number of time series stay bounded."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from dashboard.server import open_services
from ingest.routes import BATCH, TRACK
from runtime.settings import Settings
from tests.support.access import WRITE_KEY
from tests.support.doomed import Doomed
from tests.support.fleet import answers, running
from tests.support.reading import bearer, client_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a process's memory from /proc")

MEGABYTE = 1024**2
MAX_GROWTH = 60 * MEGABYTE
JSON = bearer(WRITE_KEY) | {"Content-Type": "application/json"}
EVENT: dict[str, Any] = {"event_type": "xp_earned", "user_id": "u", "properties": {"xp_amount": 5}}


def peak(process: Doomed) -> int:
    """Return the peak memory of the process in bytes."""
    [kilobytes] = re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return int(kilobytes) * 1024


@pytest.fixture
async def ingest(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Doomed]]:
    port = any_free()
    async with (
        running(settings, ["ingest"], ANALYTICS_INGEST_PORT=str(port)) as [process],
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", headers=JSON, timeout=30) as client,
    ):
        await eventually(lambda: answers(client))
        assert (await client.post(BATCH, json=[EVENT])).status_code == 202
        yield client, process


async def series(client: httpx.AsyncClient) -> set[str]:
    lines = (await client.get("/metrics")).text.splitlines()
    return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def zipped(content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Encoding": "gzip"}}


LAYERS = gzip.compress(gzip.compress(b"[" + b" " * 50 * MEGABYTE))
BODIES = {
    "a gigabyte of blanks": zipped(gzip.compress(b" " * 1024 * MEGABYTE, 9)),
    "a thousand members": zipped(gzip.compress(b" " * MEGABYTE) * 1_000),
    "gzip in gzip": zipped(LAYERS),
    "half a million arrays in each other": {"content": b"[" * 500_000},
    "objects in each other": {"content": b'{"a":' * 150_000 + b"1" + b"}" * 150_000},
    "a number of a million digits": {
        "content": b'[{"event_type":"xp_earned","properties":{"xp_amount":' + b"9" * 10**6
    },
    "a number with a huge exponent": {
        "content": b'[{"event_type":"xp_earned","user_id":"u","properties":{"xp_amount":1e400}}]'
    },
    "a hundred thousand empty events": {"content": b"[" + b"{}," * 100_000 + b"{}]"},
    "one name a hundred thousand times": {"content": b'[{"a":1' + b',"a":1' * 100_000 + b"}]"},
    "a hundred thousand names": {"content": json.dumps([{f"k{n}": 1 for n in range(60_000)}]).encode()},
    "escapes": {"content": b'["' + b"\\u0000" * 150_000 + b'"]'},
}


async def test_a_bomb_is_refused_and_costs_little_memory(ingest: tuple[httpx.AsyncClient, Doomed]) -> None:
    client, process = ingest
    before = peak(process)
    for name, body in BODIES.items():
        for _ in range(3):
            reply = await client.post(BATCH, **body)
            assert 400 <= reply.status_code < 500 or reply.status_code == 207, name
            assert reply.status_code != 207 or reply.json()["accepted"] == 0, name
        assert peak(process) - before < MAX_GROWTH, name
    assert (await client.post(BATCH, json=[EVENT])).status_code == 202


async def test_ten_thousand_inventions_add_no_time_series(ingest: tuple[httpx.AsyncClient, Doomed]) -> None:
    client, process = ingest
    await client.get("/nothing")
    await client.post(TRACK, json=EVENT | {"event_type": "invented"})
    await client.post(TRACK, json=EVENT, headers=bearer("invented"))
    known, before = await series(client), peak(process)
    for number in range(5_000):
        await client.get(f"/{number}/invented", headers={f"X-Invented-{number}": "x"})
    invented = [{**EVENT, "event_type": f"type-{number}", f"key-{number}": number} for number in range(2_000)]
    assert (await client.post(BATCH, json=invented)).json()["rejected"] == 2_000
    named = [
        {
            "event_type": "api_request",
            "properties": {"endpoint": f"/{number:x}/x", "method": "GET", "status_code": 200, "duration_ms": 1},
        }
        for number in range(2_000)
    ]
    assert (await client.post(BATCH, json=named)).status_code in (202, 207)
    for number in range(1_000):
        await client.request(f"INVENTED{number}" if number < 5 else "PUT", TRACK, headers=bearer(f"key-{number}"))
    added = {one for one in await series(client) - known if "code=" not in one}
    assert added == set()
    assert peak(process) - before < MAX_GROWTH


async def test_ten_thousand_paths_add_no_time_series_of_the_read_service(settings: Settings) -> None:
    async with open_services(settings) as services, client_of(services) as client:
        for path in ("/metrics", "/nothing", "/api/analytics/privacy/users/x/export"):
            await client.get(path)
            await client.get(path, headers=bearer("invented"))
        known = await series(client)
        for number in range(5_000):
            await client.get(f"/{number}/invented")
            await client.get(f"/api/analytics/privacy/users/{number}/export", params={f"p{number}": "x"})
        assert {one for one in await series(client) - known if "code=" not in one} == set()
