"""The code in docs/sdk.md runs unchanged, except for its addresses."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis
from studyin_analytics import AnalyticsTracker

from ingest.server import create_app
from runtime.settings import Settings
from schemas.entry import read
from tests.support.access import API_KEYS, PSEUDONYM_KEYS, WRITE_KEY
from tests.support.entries import stream_entries
from tests.support.scripted_ingest import ScriptedIngest
from tests.support.scripted_live import ScriptedLive, Visit
from tests.support.serving import served
from tests.support.waiting import eventually

PAGE: Final = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
USERS: Final = {"user": SimpleNamespace(id=7), "material": SimpleNamespace(id="limits-1")}


def block(word: str) -> str:
    """Return the only block of the page that contains this word."""
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    [text] = [each for each in blocks if word in each]
    return text


async def run(text: str, **names: Any) -> dict[str, Any]:
    """Run code that may await, with these names; return all names defined afterwards."""
    there = {**USERS, **names}
    answer = eval(compile(text, "docs/sdk.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), there)
    if inspect.isawaitable(answer):
        await answer
    return there


def test_every_block_is_here() -> None:
    words = ("interaction_type", "spool_dir", "AnalyticsMiddleware", "recording_tracker", "get_event_bus")
    assert len({block(word) for word in words}) == PAGE.count("```python\n")


async def test_send(redis: Redis, redis_url: str) -> None:
    settings = Settings.model_validate(
        {
            "environment": "dev",
            "redis_url": redis_url,
            "pseudonym_keys": PSEUDONYM_KEYS,
            "api_keys": json.loads(API_KEYS),
        }
    )
    async with served(create_app(settings, redis, asyncio.Event())) as place:
        text = block("interaction_type").replace("https://ingest.internal", f"http://{place}")
        await run(text.replace('write_key="..."', f'write_key="{WRITE_KEY}"'))
    kinds = [read(fields).event_type for _, fields in await stream_entries(redis)]
    assert kinds == ["session_start", "material_view", "session_end", "xp_earned"]


async def test_a_spool(ingest: ScriptedIngest, tmp_path: Path) -> None:
    text = block("spool_dir").replace("/var/lib/my-service/analytics", str(tmp_path / "spool"))
    text = text.replace("AnalyticsTracker(", f'AnalyticsTracker("{ingest.url}", write_key="key", ')
    tracker = (await run(text, AnalyticsTracker=AnalyticsTracker))["tracker"]
    await tracker.track_xp_earned(user_id=7, xp_amount=1)
    assert list((tmp_path / "spool").iterdir())
    assert await tracker.shutdown()


async def test_the_middleware(ingest: ScriptedIngest) -> None:
    app = FastAPI()

    @app.get("/courses/{course_id}")
    async def course(course_id: str) -> str:
        return course_id

    tracker = AnalyticsTracker(ingest.url, write_key="key")
    await run(block("AnalyticsMiddleware"), app=app, tracker=tracker)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        await client.get("/courses/7")
        await client.get("/healthz")
    assert await tracker.shutdown()
    [[told]] = ingest.requests
    assert told["properties"]["endpoint"] == "/courses/{course_id}"


async def test_tests_of_a_service() -> None:
    await run(block("recording_tracker"))


async def test_subscribe(monkeypatch: Any, capsys: Any) -> None:
    async def publish(visit: Visit) -> None:
        await visit.welcome(1)
        await visit.publish(50)
        await visit.stay()

    async with ScriptedLive(publish).running() as live:
        monkeypatch.setenv("ANALYTICS_DASHBOARD_URL", live.url)
        monkeypatch.setenv("ANALYTICS_READ_KEY", "key")
        names = dict(USERS)
        listening = asyncio.create_task(run(block("get_event_bus"), **names))
        said = ""

        def is_said() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return "User earned 50 XP!" in said

        await eventually(is_said)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
