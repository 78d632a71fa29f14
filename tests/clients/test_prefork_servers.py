"""The SDK in gunicorn and Celery as they are: loaded before they fork, tracked in their children, sent at their end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from runtime.embedded.ports import LOOPBACK, any_free
from stream.connection import Redis
from tests.support.scripted_ingest import ScriptedIngest, accept_all
from tests.support.waiting import eventually

HERE: Final = Path(__file__).parent / "prefork"
SDK: Final = Path(__file__).parents[2] / "sdk"
CALLS: Final = 40
DONE: Final = "jobs-done"


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Start Python where the applications are."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=HERE,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(SDK), **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


@asynccontextmanager
async def running(*command: str, **environment: str) -> AsyncIterator[None]:
    """Run a server of Python until the block ends; it must end in order."""
    process = await start("-m", *command, **environment)
    try:
        yield
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def learners(ingest: ScriptedIngest) -> Counter[str]:
    return Counter(event["user_id"] for events in ingest.requests for event in events)


async def test_gunicorn_with_preload() -> None:
    port = any_free()
    with ScriptedIngest(accept_all).running() as ingest:
        command = ("gunicorn", "--preload", "--workers", "3", "--bind", f"{LOOPBACK}:{port}", "web:app")
        async with running(*command, ANALYTICS_INGEST_URL=ingest.url), httpx.AsyncClient() as client:
            answered = 0

            async def is_answered() -> bool:
                try:
                    return (await client.get(f"http://{LOOPBACK}:{port}/")).status_code == 204
                except httpx.TransportError:
                    return False

            while answered < CALLS:
                answered += await is_answered()
        assert learners(ingest) == {"master": 1, "request": CALLS}


async def test_celery_with_prefork(redis_url: str, redis: Redis) -> None:
    with ScriptedIngest(accept_all).running() as ingest:
        environment = {"ANALYTICS_INGEST_URL": ingest.url, "REDIS_URL": redis_url}
        worker = ("celery", "--app", "jobs:celery", "worker", "--pool", "prefork", "--concurrency", "3")
        async with running(*worker, **environment):
            call = f"import jobs; [jobs.work.delay(number) for number in range({CALLS})]"
            caller = await start("-c", call, **environment)
            assert await caller.wait() == 0

            async def are_done() -> bool:
                return await redis.llen(DONE) == CALLS

            await eventually(are_done)
            assert learners(ingest) == {}, "nobody has reason to send yet"
        assert learners(ingest) == {f"task-{number}": 1 for number in range(CALLS)}
        assert len(ingest.requests) > 1, "by more than one child"
