"""A real ingest process under overload refuses with documented answers, stays within its memory, and recovers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from cli.local.embedded.valkey import Valkey
from ingest.append_queue import MAX_WAITING_EVENTS
from ingest.routes import BATCH
from runtime.settings import Settings
from schemas.limits import MAX_BATCH_EVENTS
from stream.entries.groups import ensure_group
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import connect
from tests.support.access import API_KEYS, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.running import running
from tests.support.waiting import eventually

COMMAND = (sys.executable, "-m", "cli.main", "ingest")

SENDERS = 60
MAX_GROWTH = 128 * 1024**2
"""Maximum memory growth of the process in bytes: held events, as objects and in send buffers, and request bodies."""

LIMITED_KEY = "a-key-with-a-limit"
LIMITED = {
    "source": "limited",
    "key": LIMITED_KEY,
    "scopes": ["events:write"],
    "rate_limit_per_second": 1,
    "rate_limit_burst": MAX_BATCH_EVENTS,
}

EVENT = {"event_type": "xp_earned", "user_id": "learner", "properties": {"xp_amount": 5}}
BODY = json.dumps([EVENT] * MAX_BATCH_EVENTS).encode()


@dataclass
class Ingest:
    """A running ingest process."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient

    async def send(self, key: str = WRITE_KEY, body: bytes = BODY) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        return await self.client.post(BATCH, content=body, headers=headers)

    async def accepts(self) -> bool:
        return (await self.send(body=json.dumps([EVENT]).encode())).status_code == 202

    async def is_ready(self) -> bool:
        try:
            return (await self.client.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def held_events(self) -> int:
        text = (await self.client.get("/metrics")).text
        found = re.search(r"^analytics_ingest_held_events (\S+)$", text, flags=re.MULTILINE)
        assert found
        return int(float(found[1]))

    def memory(self, figure: str) -> int:
        """Return VmRSS (current) or VmHWM (peak) in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{figure}:\s+(\d+) kB$", status, flags=re.MULTILINE)
        assert found
        return int(found[1]) * 1024


@asynccontextmanager
async def running_ingest(server: Valkey, log: Path, **more: str) -> AsyncIterator[Ingest]:
    port = any_free()
    environment = {
        "REDIS_URL": server.url,
        "ANALYTICS_PSEUDONYM_KEYS": PSEUDONYM_KEYS,
        "ANALYTICS_API_KEYS": json.dumps([*json.loads(API_KEYS), LIMITED]),
        "ANALYTICS_INGEST_PORT": str(port),
        "ANALYTICS_LOG_FORMAT": "json",
        "ANALYTICS_DRAIN_SECONDS": "0",
    }
    limits = httpx.Limits(max_connections=None)
    async with (
        running(*COMMAND, log=log, environment=environment | more) as process,
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=None, limits=limits) as client,
    ):
        ingest = Ingest(process, client)
        await eventually(ingest.is_ready)
        yield ingest


class Storm:
    """Senders that never wait between requests, whatever the answers are."""

    def __init__(self, ingest: Ingest) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self.most_held = 0
        self._ingest = ingest
        self._over = False

    @asynccontextmanager
    async def raging(self) -> AsyncIterator[Storm]:
        senders = [asyncio.create_task(self._send()) for _ in range(SENDERS)]
        senders.append(asyncio.create_task(self._watch()))
        try:
            yield self
        finally:
            self._over = True
            await asyncio.gather(*senders)

    async def _send(self) -> None:
        while not self._over:
            answer = await self._ingest.send()
            accepted = answer.status_code == 202
            self.answers[answer.status_code, "" if accepted else answer.json()["code"]] += 1
            assert accepted or int(answer.headers["retry-after"]) >= 1

    async def _watch(self) -> None:
        while not self._over:
            self.most_held = max(self.most_held, await self._ingest.held_events())


async def test_a_port_that_is_taken_is_said_in_a_sentence(own_valkey: Valkey, data_directory: Path) -> None:
    async with running_ingest(own_valkey, data_directory / "ingest.log") as ingest:
        port = str(ingest.client.base_url.port)
        environment = {"REDIS_URL": own_valkey.url, "ANALYTICS_INGEST_PORT": port}
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            env=environment | {"ANALYTICS_PSEUDONYM_KEYS": PSEUDONYM_KEYS},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 2
    assert said.decode().splitlines()[-1].startswith(f"analytics: cannot listen on 127.0.0.1:{port}")
    assert "Traceback" not in said.decode()


@pytest.mark.timeout(120)
async def test_while_redis_hangs_requests_are_refused_and_memory_is_bounded(
    own_valkey: Valkey, data_directory: Path
) -> None:
    assert own_valkey.pid is not None
    async with running_ingest(own_valkey, data_directory / "ingest.log") as ingest:
        assert [(await ingest.send(LIMITED_KEY)).status_code for _ in range(2)] == [202, 429]
        before = ingest.memory("VmRSS")
        os.kill(own_valkey.pid, signal.SIGSTOP)
        try:
            async with Storm(ingest).raging() as storm:
                full = MAX_WAITING_EVENTS // MAX_BATCH_EVENTS
                await eventually(lambda: storm.answers[503, "timeout"] >= full and storm.answers[503, "queue_full"])
        finally:
            os.kill(own_valkey.pid, signal.SIGCONT)
        await eventually(ingest.accepts)
        assert {status for status, _ in storm.answers} <= {202, 503}
        assert MAX_WAITING_EVENTS // 2 < storm.most_held <= MAX_WAITING_EVENTS
        assert await ingest.held_events() == 0
        assert ingest.memory("VmHWM") - before < MAX_GROWTH


@pytest.mark.timeout(120)
async def test_a_backlog_that_nobody_stores_is_bounded_and_goes_on_when_somebody_does(
    own_valkey: Valkey, data_directory: Path
) -> None:
    redis = connect(Settings.model_validate({"redis_url": own_valkey.url}))
    await ensure_group(redis, 0, STORE_GROUP)
    limit = {"ANALYTICS_MAX_BACKLOG_EVENTS": "20000"}
    async with running_ingest(own_valkey, data_directory / "ingest.log", **limit) as ingest:
        async with Storm(ingest).raging() as storm:
            await eventually(lambda: storm.answers[503, "backlog_full"] > 5 * SENDERS)
        assert {status for status, _ in storm.answers} <= {202, 503}
        accepted = storm.answers[202, ""] * MAX_BATCH_EVENTS
        assert await redis.xlen(stream_key(0)) >= accepted > 20_000

        async def store() -> bool:
            entries = await redis.xreadgroup(STORE_GROUP, "worker", {stream_key(0): ">"}, count=10_000, noack=True)
            return not entries

        await eventually(store)
        await eventually(ingest.accepts)
    await redis.aclose()
