"""The read service as a process: start, graceful stop, and logs without personal data."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cli.local.embedded.ports import LOOPBACK, any_free
from tests.support import access
from tests.support.following import LIVE, closed
from tests.support.reading import bearer
from tests.support.running import running
from tests.support.waiting import eventually

OVERVIEW = "/api/analytics/learning/overview"
CANARY = "canary-anna-7f3a"
TOKEN = jwt.encode({"sub": CANARY, "exp": int(time.time()) + 86_400}, access.JWT_SECRET)

RUN = """
import asyncio
from dashboard.server import serve
from runtime.environment import load_settings
from telemetry import logging
settings = load_settings()
logging.configure(settings)
asyncio.run(serve(settings))
"""
COMMAND = (sys.executable, "-c", RUN)


@dataclass
class Process:
    child: asyncio.subprocess.Process
    client: httpx.AsyncClient
    log: Path

    async def stopped(self) -> tuple[int, str]:
        """Wait for the exit; return the exit code and the output."""
        return await self.child.wait(), self.log.read_text()


def environment(redis_url: str, database_url: str, port: int, **more: str) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "ANALYTICS_PSEUDONYM_KEYS": access.PSEUDONYM_KEYS,
        "ANALYTICS_API_KEYS": access.API_KEYS,
        "ANALYTICS_JWT_SECRET": access.JWT_SECRET,
        "ANALYTICS_DASHBOARD_PORT": str(port),
        "ANALYTICS_LOG_LEVEL": "debug",
        "ANALYTICS_DRAIN_SECONDS": "0",
        "PYTHONWARNINGS": "error",
        **more,
    }


async def answers(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == 200
    except httpx.TransportError:
        return False


async def refuses(base_url: httpx.URL) -> bool:
    """Return whether a new connection is refused. A kept-alive connection would still be served."""
    async with httpx.AsyncClient(base_url=base_url) as newcomer:
        return not await answers(newcomer, "/livez")


@pytest.fixture
async def process(redis_url: str, database_url: str, tmp_path: Path) -> AsyncIterator[Process]:
    port, log = any_free(), tmp_path / "log"
    async with (
        running(*COMMAND, log=log, environment=environment(redis_url, database_url, port)) as child,
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=20) as client,
    ):
        await eventually(lambda: answers(client, "/readyz"))
        yield Process(child, client, log)


async def test_logs_name_neither_the_learner_nor_the_caller(process: Process) -> None:
    learner, reader = bearer(TOKEN), bearer(access.READ_KEY)
    for path, headers in (
        (OVERVIEW, learner),
        (f"{OVERVIEW}?user_id={CANARY}", learner),
        (f"{OVERVIEW}?user_id={CANARY}", reader),
        (f"{OVERVIEW}?user_id={CANARY}&days=x", reader),
        (f"/users/{CANARY}", reader),
        (f"{OVERVIEW}?user_id={CANARY}", {"Authorization": f"Bearer {TOKEN}x"}),
        (f"{LIVE}/sse?user_id={CANARY}&types=x", learner),
        (f"{LIVE}?user_id={CANARY}", learner),
    ):
        reply = await process.client.get(path, headers=headers)
        assert reply.status_code < 500
        assert CANARY not in reply.text
        assert CANARY not in str(reply.headers)
    address = f"ws://{process.client.base_url.netloc.decode()}{LIVE}?user_id={CANARY}"
    for credential, opens in ((TOKEN, True), (access.READ_KEY, False)):
        offered: Any = ["analytics.v1", f"bearer.{credential}"]
        with contextlib.suppress(InvalidStatus):
            async with connect(address, subprotocols=offered, proxy=None) as socket:
                assert CANARY not in str(await socket.recv())
                assert opens
    exposed = (await process.client.get("/metrics")).text
    process.child.send_signal(signal.SIGTERM)
    code, said = await process.stopped()
    assert code == 0
    for secret in (CANARY, TOKEN, access.READ_KEY, access.JWT_SECRET):
        assert secret not in said + exposed
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["process_started", "process_stopped"]


async def test_it_starts_while_postgres_is_away(redis_url: str, tmp_path: Path) -> None:
    port = any_free()
    variables = environment(redis_url, "postgresql://127.0.0.1:1/away", port)
    async with (
        running(*COMMAND, log=tmp_path / "log", environment=variables),
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=20) as client,
    ):
        await eventually(lambda: answers(client, "/livez"))
        assert (await client.get("/readyz")).status_code == 503
        reply = await client.get(OVERVIEW, headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status_code == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_shutdown_finishes_requests_in_progress(
    process: Process, database_url: str, number: signal.Signals
) -> None:
    connection = await asyncpg.connect(database_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE daily_activity_summary IN ACCESS EXCLUSIVE MODE")
    asked = asyncio.create_task(process.client.get(OVERVIEW, headers={"Authorization": f"Bearer {TOKEN}"}))
    await eventually(lambda: connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
    process.child.send_signal(number)
    await eventually(lambda: refuses(process.client.base_url))
    await transaction.rollback()
    await connection.close()
    assert (await asked).status_code == 200
    assert (await process.stopped())[0] == 0


async def test_a_shutdown_ends_streams_of_live_events(process: Process) -> None:
    address = f"ws://{process.client.base_url.netloc.decode()}{LIVE}"
    async with connect(address, additional_headers=bearer(access.EVENTS_KEY), proxy=None) as socket:
        await socket.recv()
        process.child.send_signal(signal.SIGTERM)
        assert await closed(socket) == 1012
    code, said = await process.stopped()
    assert code == 0
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["process_started", "process_stopped"]


async def test_a_short_secret_is_refused_at_the_start(redis_url: str, database_url: str, tmp_path: Path) -> None:
    log, variables = tmp_path / "log", environment(redis_url, database_url, any_free(), ANALYTICS_JWT_SECRET="short")
    async with running(*COMMAND, log=log, environment=variables, ends_with=(1,)) as child:
        await child.wait()
    assert "ANALYTICS_JWT_SECRET" in log.read_text()
