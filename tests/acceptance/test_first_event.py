"""The commands that the documents show to newcomers, and the examples, work as described."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import httpx
import pytest

from runtime.embedded.ports import LOOPBACK, any_free
from tests.clients.official import NotInstallable, node_client
from tests.support import tools
from tests.support.running import running
from tests.support.system import System
from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "first-event.md").read_text(encoding="utf-8")


def code(language: str = "") -> list[str]:
    """Return the blocks of the page in a language; those without one are for a shell."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    return [text for named, text in blocks if named == language]


@pytest.fixture
def folder(system: System, tmp_path: Path) -> Path:
    """A folder as on the page: the data of a system and an environment with the SDK."""
    (tmp_path / ".data").symlink_to(system.data_dir)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    return tmp_path


async def shell(folder: Path, system: System, *lines: str) -> str:
    """Run lines of the page after its first ones, with the addresses of this system; return their output."""
    text = "\n".join([code()[0], *lines])
    for usual, ours in (("http://127.0.0.1:8080", system.ingest_url), ("http://127.0.0.1:8081", system.dashboard_url)):
        text = text.replace(usual, ours)
    assert system.ingest_url in text
    return await finished("bash", "-euo", "pipefail", "-c", text, cwd=folder)


async def finished(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.needs_tool("curl")
async def test_curl_and_python(system: System, folder: Path) -> None:
    _, curl, see_it, add_up = code()
    assert '"status":"accepted"' in await shell(folder, system, curl)

    (folder / "first.py").write_text(code("python")[0])
    assert "accepted=3" in await shell(folder, system, "python first.py")

    await system.settled()
    stored = await shell(folder, system, see_it)
    assert re.findall(r"^\S+ \S+  (\w+)", stored, flags=re.MULTILINE) == [
        "xp_earned",
        "session_end",
        "session_start",
        "xp_earned",
    ]
    assert '"total_xp":50' in await shell(folder, system, add_up)


@pytest.mark.needs_tool("node")
@pytest.mark.needs_tool("npm")
async def test_node(system: System, folder: Path, request: pytest.FixtureRequest) -> None:
    try:
        installed = node_client().command[1]
    except NotInstallable as error:
        tools.miss(request.node, "npm packages", str(error))
    (folder / "node_modules").symlink_to(Path(installed).parent / "node_modules")
    (folder / "first.mjs").write_text(code("js")[0])
    await shell(folder, system, "node first.mjs")

    await system.settled()
    assert '"total_xp":25' in await shell(folder, system, code()[3])


def example(log: Path, *command: str, **environment: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Run an example for the block."""
    return running(
        *(sys.executable, "-m", *command),
        log=log,
        environment={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        cwd=ROOT,
        ends_with=(0, -signal.SIGTERM),
    )


async def test_the_example_service_sends_and_the_example_subscriber_hears(system: System, tmp_path: Path) -> None:
    port = any_free()
    sends = {"ANALYTICS_INGEST_URL": system.ingest_url, "ANALYTICS_WRITE_KEY": system.write_key}
    hears = {"ANALYTICS_DASHBOARD_URL": system.dashboard_url, "ANALYTICS_READ_KEY": system.read_key}
    factory = ("uvicorn", "--factory", "examples.fastapi_service.service:create_app", "--port", str(port))
    learner, heard = {"X-Learner": "ada"}, tmp_path / "subscriber.log"
    async with (
        example(heard, "examples.xp_subscriber", **hears),
        example(tmp_path / "service.log", *factory, **sends),
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", headers=learner) as client,
        httpx.AsyncClient(
            base_url=system.dashboard_url, headers={"Authorization": f"Bearer {system.read_key}"}
        ) as reader,
    ):
        await eventually(lambda: is_subscribed(reader))
        await eventually(lambda: is_up(client))
        begun = (await client.post("/materials/limits-1/sessions")).json()
        assert (await client.post(f"/sessions/{begun['session_id']}/end", params={"xp": 30})).status_code == 200

        await eventually(lambda: "+30 XP\n" in heard.read_text())

        async def is_known() -> bool:
            metrics = (await reader.get("/api/analytics/system/metrics")).json()
            return "/sessions/{session_id}/end" in [one["endpoint"] for one in metrics["top_endpoints"]]

        await eventually(is_known)
        overview = (await reader.get("/api/analytics/learning/overview", params={"user_id": "ada"})).json()
        assert (overview["total_sessions"], overview["total_xp"], overview["materials_viewed"]) == (1, 30, 1)


async def test_tail_shows_what_comes_in(system: System, tmp_path: Path) -> None:
    tail = ("cli.main", "tail", "--data-dir", str(system.data_dir), "--user", "ada", "--type", "xp_earned", "--json")
    screen = tmp_path / "screen"
    sender = httpx.AsyncClient(base_url=system.ingest_url, headers={"Authorization": f"Bearer {system.write_key}"})
    async with (
        example(screen, *tail),
        sender,
        httpx.AsyncClient(base_url=system.dashboard_url) as reader,
    ):
        await eventually(lambda: is_subscribed(reader))
        for learner, event_type, properties in (
            ("ben", "xp_earned", {"xp_amount": 1}),
            ("ada", "level_up", {"new_level": 2}),
            ("ada", "xp_earned", {"xp_amount": 7, "source": "quiz"}),
        ):
            event = {"event_type": event_type, "user_id": learner, "properties": properties}
            assert (await sender.post("/api/analytics/events/track", json=event)).status_code == 202
        await eventually(lambda: "}\n" in screen.read_text())
    first = json.loads(next(line for line in screen.read_text().splitlines() if line.startswith("{")))
    assert (first["event_type"], first["properties"]) == ("xp_earned", {"xp_amount": 7, "source": "quiz"})
    assert first["source"] == "dev"


async def is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/openapi.json")).status_code == 200
    except httpx.TransportError:
        return False


async def is_subscribed(reader: httpx.AsyncClient) -> bool:
    metrics = (await reader.get("/metrics")).text
    return 'analytics_live_subscribers{transport="websocket"} 1.0' in metrics
