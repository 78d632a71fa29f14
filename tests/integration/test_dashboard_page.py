"""The page in a real browser on a real server: numbers appear, and the content security policy blocks nothing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from cli.local.embedded.ports import LOOPBACK, any_free
from dashboard.app import create_app
from dashboard.server import open_services
from runtime.settings import Settings
from tests.support.access import READ_KEY
from tests.support.aggregates import Aggregates
from web.server.http_server import serve_http
from web.server.listener import Listener

pytestmark = pytest.mark.needs_tool("chromium")

# without the last options it contacts its vendor's servers at every start
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--virtual-time-budget=6000",
    "--enable-logging=stderr",
    "--dump-dom",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
async def dashboard_url(settings: Settings) -> AsyncIterator[str]:
    stop = asyncio.Event()
    port = any_free()
    async with open_services(settings) as services:
        await services.freshness.refresh()
        serving = asyncio.create_task(serve_http(create_app(services, stop), Listener(LOOPBACK, port), stop))
        yield f"http://{LOOPBACK}:{port}"
        stop.set()
        await serving


async def look(url: str) -> tuple[str, str]:
    """Return the final page and the browser's console messages."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = await asyncio.create_subprocess_exec(
            "chromium",
            *FLAGS,
            f"--user-data-dir={profile}",
            url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        page, log = await browser.communicate()
    return page.decode(), "\n".join(line for line in log.decode().splitlines() if "CONSOLE" in line)


async def test_the_page_shows_a_learner_and_the_platform(
    dashboard_url: str, settings: Settings, database_url: str
) -> None:
    anna = settings.pseudonymizer().pseudonym("anna <b>")
    now = datetime.now(UTC)
    connection = await asyncpg.connect(database_url)
    tables = Aggregates(connection)
    await tables.day(anna, now.date(), count=7, viewed=1234, xp=325)
    await tables.session(anna, now.date(), now, now, ended_at=now, reported_ms=5_400_000)
    await tables.stats(anna, xp=325)
    await tables.achievement(anna, "first", now, name="<b>First</b>")
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    await tables.requests(start, "/courses/{id}", 200, 4321)
    await connection.close()
    page, complaints = await look(f"{dashboard_url}/#key={READ_KEY}&user_id=anna+%3Cb%3E&tz=UTC")
    assert complaints == ""
    assert 'data-state="live"' in page
    for label, shown in (
        ("Materials viewed", "1,234"),
        ("Time", "1 h 30 min"),
        ("XP earned", "325"),
        ("Requests", "4,321"),
    ):
        assert f'data-label="{label}" data-shown="{shown}"' in page
    assert '<output id="level">3</output>' in page
    assert page.count("<i data-level=") == 365 + len("01234")
    assert "&lt;b&gt;First&lt;/b&gt;" in page
    assert "/courses/{id}" in page
    assert READ_KEY not in page


async def test_a_refusal_is_shown_in_words(dashboard_url: str) -> None:
    page, complaints = await look(f"{dashboard_url}/#key={READ_KEY}")
    assert "A service must name the learner." in page
    assert 'data-state="live"' in page
    assert "Content Security Policy" not in complaints


async def test_the_documentation_runs_without_a_network(dashboard_url: str) -> None:
    page, complaints = await look(f"{dashboard_url}/docs")
    assert "/api/analytics/learning/overview" in page
    assert complaints == ""
