"""A real Prometheus scrapes a real fleet: alerts fire when something breaks and end when it heals; boards have data."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from cli.local.embedded.ports import LOOPBACK, any_free
from cli.local.embedded.valkey import Valkey
from ingest.routes import BATCH
from runtime.settings import Settings
from schemas.entry import encode
from stream.keys import stream_key
from stream.server.connection import connect
from tests.support.access import WRITE_KEY
from tests.support.doomed import Doomed
from tests.support.entries import append_entry, as_read
from tests.support.events import event
from tests.support.fleet import EAGER, answers
from tests.support.prometheus import Prometheus, scraping
from tests.support.waiting import eventually

BOARDS = sorted((Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards").glob("*.json"))
PORT_SETTINGS = {"ingest": "ANALYTICS_INGEST_PORT", "dashboard": "ANALYTICS_DASHBOARD_PORT"}


class Fleet:
    """Processes of all kinds, each on a port that Prometheus scrapes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ports = {name: any_free() for name in ("ingest", "worker", "another worker", "live", "maintenance")}
        self.ports["dashboard"] = any_free()
        self._running: dict[str, Doomed] = {}

    def targets(self) -> dict[str, list[int]]:
        """Return the ports by job."""
        workers = [self.ports["worker"], self.ports["another worker"]]
        return {name: [port] for name, port in self.ports.items() if "worker" not in name} | {"worker": workers}

    async def start(self, name: str, **environment: str) -> None:
        """Start a process."""
        service = name.removeprefix("another ")
        port = {PORT_SETTINGS.get(service, "ANALYTICS_METRICS_PORT"): str(self.ports[name])}
        self._running[name] = await Doomed.start(service, self.settings, EAGER | port | environment)

    async def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        doomed = self._running.pop(name)
        doomed.kill()
        await doomed.end()

    async def kill_all(self) -> None:
        """Kill every process."""
        for name in list(self._running):
            await self.kill(name)

    async def send(self, *events: dict[str, Any]) -> None:
        """Send events to ingest, which must accept all."""
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{self.ports['ingest']}") as client:
            await eventually(lambda: answers(client))
            headers = {"Authorization": f"Bearer {WRITE_KEY}"}
            reply = await client.post(BATCH, json=events, headers=headers)
            assert reply.status_code == 202, reply.text


@contextlib.asynccontextmanager
async def fleet_on(settings: Settings) -> AsyncIterator[Fleet]:
    fleet = Fleet(settings)
    try:
        yield fleet
    finally:
        await fleet.kill_all()


def learner_event() -> dict[str, Any]:
    return {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 1}}


def api_requests(status: int, count: int) -> list[dict[str, Any]]:
    facts = {"endpoint": "/courses", "method": "GET", "status_code": status, "duration_ms": 20}
    return [{"event_type": "api_request", "properties": facts}] * count


@pytest.mark.needs_tool("prometheus")
@pytest.mark.timeout(240)
async def test_alerts_fire_while_something_is_broken_and_every_board_has_data(
    own_valkey: Valkey, settings: Settings, database: asyncpg.Connection, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"redis_url": SecretStr(own_valkey.url)})
    async with fleet_on(settings) as fleet, scraping(tmp_path, fleet.targets()) as prometheus:
        for name in ("ingest", "maintenance", "dashboard", "live"):
            await fleet.start(name)

        # nobody stores: an event is older than a minute
        await append_old_and_unreadable_entries(settings)
        await prometheus.sees(firing=["AnalyticsBehind", "AnalyticsStalled", "AnalyticsTargetMissing"])

        # a worker stores it, and parks the unreadable one; the platform fails; a worker has other settings
        await fleet.start("worker")
        await fleet.start("another worker", ANALYTICS_STREAM_PARTITIONS="2")
        await fleet.send(*api_requests(503, 10), *api_requests(200, 20), learner_event())
        await prometheus.sees(
            firing=["AnalyticsDeadLettersWaiting", "AnalyticsPlatformErrors", "AnalyticsSettingsDiffer"],
            silent=["AnalyticsBehind", "AnalyticsStalled", "AnalyticsTargetMissing"],
        )
        assert await empty_panels(prometheus) == []

        # every worker dies, and its counters with it
        await fleet.kill("another worker")
        await fleet.kill("worker")
        await fleet.send(learner_event())
        await prometheus.sees(firing=["AnalyticsStalled"], silent=["AnalyticsSettingsDiffer"])

        # all heals
        await fleet.start("worker")
        for _ in range(3):
            await fleet.send(*api_requests(200, 500))
        await database.execute("UPDATE dead_letters SET retried_at = now()")
        await prometheus.sees(silent=["AnalyticsStalled", "AnalyticsPlatformErrors"])

        # Redis dies and comes back
        own_valkey.kill()
        await prometheus.sees(firing=["AnalyticsRedisFailing"])
        await asyncio.to_thread(own_valkey.restart)
        await prometheus.sees(
            firing=["AnalyticsWatchdog"],
            silent=["AnalyticsRedisFailing", "AnalyticsDeadLettersWaiting", "AnalyticsStalled", "AnalyticsBehind"],
        )


async def append_old_and_unreadable_entries(settings: Settings) -> None:
    redis = connect(settings)
    written: Any = as_read(encode(event("xp_earned", {"xp_amount": 1})))
    await redis.xadd(stream_key(0), written, id=f"{int(time.time() * 1000) - 90_000}-0")
    await append_entry(redis, {b"event_type": b"nonsense"})
    await redis.aclose()


def expressions(board: Path) -> Sequence[str]:
    panels = json.loads(board.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


async def empty_panels(prometheus: Prometheus) -> list[str]:
    """Return the expressions of boards without a series, once each has had time to get one."""
    waiting = {(board.stem, expression) for board in BOARDS for expression in expressions(board)}
    assert len(waiting) > 80

    async def all_have_data() -> bool:
        for board, expression in list(waiting):
            if await prometheus.query(expression):
                waiting.discard((board, expression))
        return not waiting

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(eventually(all_have_data, 1), 45)
    return sorted(f"{board}: {expression}" for board, expression in waiting)
