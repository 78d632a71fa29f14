"""A real Prometheus that scrapes a fleet every second, with our rules and no patience."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from cli.local.embedded.ports import LOOPBACK, any_free
from tests.support.waiting import eventually

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts"
_PAUSE_SECONDS = 0.2


class Prometheus:
    """The HTTP API of a server."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now; fail if it is not valid."""
        reply = await self._client.get("/api/v1/query", params={"query": expression})
        assert reply.status_code == 200, (expression, reply.text)
        found: list[dict[str, Any]] = reply.json()["data"]["result"]
        return found

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        reply = await self._client.get("/api/v1/alerts")
        alerts = reply.json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def sees(self, firing: Collection[str] = (), silent: Collection[str] = ()) -> None:
        """Wait until these alerts fire, and those do not."""

        async def as_expected() -> bool:
            now = await self.firing()
            return now.issuperset(firing) and now.isdisjoint(silent)

        await eventually(as_expected, _PAUSE_SECONDS)

    async def answers(self) -> bool:
        """Return whether the server is ready."""
        try:
            return (await self._client.get("/-/ready")).status_code == 200
        except httpx.TransportError:
            return False


def impatient(rules: str) -> str:
    """Return rules that wait a second before they fire, do not wait to end, and look back ten seconds."""
    rules = re.sub(r"\b(for|keep_firing_for): \d+[smhd]", r"\1: 1s", rules)
    return re.sub(r"\[\d+[smhd]\]", "[10s]", rules)


@contextlib.asynccontextmanager
async def scraping(place: Path, targets: Mapping[str, Collection[int]]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus in `place` for the block, which scrapes these ports of the loopback address by job."""
    (place / "rules").mkdir(parents=True)
    for file in RULES.glob("*.yml"):
        (place / "rules" / file.name).write_text(impatient(file.read_text(encoding="utf-8")), encoding="utf-8")
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"{LOOPBACK}:{port}" for port in ports]}]}
            for job, ports in targets.items()
        ],
    }
    (place / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = any_free()
    program = shutil.which("prometheus")
    assert program is not None
    with (place / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={place / 'prometheus.yml'}",
            f"--storage.tsdb.path={place / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            stdout=log,
            stderr=log,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
                server = Prometheus(client)
                await eventually(server.answers, _PAUSE_SECONDS)
                yield server
        finally:
            process.kill()
            await process.wait()
