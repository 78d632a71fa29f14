"""The SDK in gunicorn and Celery: loaded before the fork, used in the children, flushed at their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import httpx

from cli.local.embedded.ports import LOOPBACK, any_free
from stream.server.connection import Redis
from tests.support.running import running
from tests.support.scripted_ingest import ScriptedIngest, accept_all
from tests.support.waiting import eventually

HERE: Final = Path(__file__).parent / "prefork"
SDK: Final = Path(__file__).parents[2] / "sdk"
CALLS: Final = 40
DONE: Final = "jobs-done"


def python(
    log: Path, *arguments: str, **environment: str
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Run Python for the block in the folder of the applications."""
    base = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(SDK)}
    return running(sys.executable, *arguments, log=log, environment=base | environment, cwd=HERE)


def learners(ingest: ScriptedIngest) -> Counter[str]:
    return Counter(event["user_id"] for events in ingest.requests for event in events)


async def test_gunicorn_with_preload(tmp_path: Path) -> None:
    port = any_free()
    with ScriptedIngest(accept_all).running() as ingest:
        command = ("-m", "gunicorn", "--preload", "--workers", "3", "--bind", f"{LOOPBACK}:{port}", "web:app")
        async with python(tmp_path / "log", *command, ANALYTICS_INGEST_URL=ingest.url), httpx.AsyncClient() as client:
            answered = 0

            async def is_answered() -> bool:
                try:
                    return (await client.get(f"http://{LOOPBACK}:{port}/")).status_code == 204
                except httpx.TransportError:
                    return False

            while answered < CALLS:
                answered += await is_answered()
        assert learners(ingest) == {"master": 1, "request": CALLS}


async def test_celery_with_prefork(redis_url: str, redis: Redis, tmp_path: Path) -> None:
    with ScriptedIngest(accept_all).running() as ingest:
        environment = {"ANALYTICS_INGEST_URL": ingest.url, "REDIS_URL": redis_url}
        worker = ("-m", "celery", "--app", "jobs:celery", "worker", "--pool", "prefork", "--concurrency", "3")
        async with python(tmp_path / "worker.log", *worker, **environment):
            call = f"import jobs; [jobs.work.delay(number) for number in range({CALLS})]"
            async with python(tmp_path / "caller.log", "-c", call, **environment) as caller:
                assert await caller.wait() == 0

            async def are_done() -> bool:
                return await redis.llen(DONE) == CALLS

            await eventually(are_done)
            assert learners(ingest) == {}, "no child should have sent yet"
        assert learners(ingest) == {f"task-{number}": 1 for number in range(CALLS)}
        assert len(ingest.requests) > 1, "expected requests of more than one child"
