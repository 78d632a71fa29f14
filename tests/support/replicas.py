"""Replicas of every service as `analytics` runs them, behind haproxy with the configuration of deploy/."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import httpx

from cli.local.embedded.ports import LOOPBACK, any_free
from runtime.settings import Settings
from tests.support import access
from tests.support.waiting import eventually

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
DRAIN_SECONDS = 3
"""Twice as long as haproxy needs to notice, as its configuration says."""


class Replica:
    """A process that can be started again with the same command."""

    def __init__(self, name: str, command: tuple[str, ...], environment: Mapping[str, str], port: int) -> None:
        """`port` answers `/readyz`."""
        self.name = name
        self.place = f"{LOOPBACK}:{port}"
        self._command = command
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli.main", *self._command, env=self._environment, stdout=asyncio.subprocess.DEVNULL
        )
        async with httpx.AsyncClient(base_url=f"http://{self.place}") as client:

            async def is_ready() -> bool:
                assert self._process is not None
                assert self._process.returncode is None, f"{self.name} ended by itself"
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_ready)

    def ask(self) -> None:
        """Send SIGTERM."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        """Wait for its end, which must be orderly."""
        assert self._process is not None
        assert await self._process.wait() == 0, self.name

    async def kill(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass(frozen=True)
class Deployment:
    """A running system. The addresses are those of haproxy."""

    ingest: str
    dashboard: str
    replicas: Sequence[Sequence[Replica]]
    """The replicas of each service."""
    _stats: httpx.AsyncClient

    async def restart(self) -> None:
        """Restart every service at the same time, each one replica after the other."""
        await asyncio.gather(*(self._restart_each(replicas) for replicas in self.replicas))

    async def _restart_each(self, replicas: Sequence[Replica]) -> None:
        for replica in replicas:
            await self._restart(replica)

    async def _restart(self, replica: Replica) -> None:
        """Restart one process as an operator does: wait until haproxy sends requests to it."""
        replica.ask()
        if self._is_behind_haproxy(replica):
            await eventually(lambda: self._has_status(replica, "DOWN"))
        await replica.end()
        await replica.start()
        if self._is_behind_haproxy(replica):
            await eventually(lambda: self._has_status(replica, "UP"))

    async def until_up(self) -> None:
        """Wait until haproxy sends requests to every replica."""
        for replica in filter(self._is_behind_haproxy, chain(*self.replicas)):
            await eventually(partial(self._has_status, replica, "UP"))

    @staticmethod
    def _is_behind_haproxy(replica: Replica) -> bool:
        return replica.name.startswith(("ingest", "dashboard"))

    async def _has_status(self, replica: Replica, status: str) -> bool:
        table = csv.DictReader((await self._stats.get("/;csv")).text.splitlines())
        [found] = [row["status"] for row in table if row["svname"] == replica.name]
        return found == status


@asynccontextmanager
async def deployed(settings: Settings) -> AsyncIterator[Deployment]:
    """Run two replicas of each service and haproxy for the block."""
    shared = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "REDIS_URL": settings.redis_dsn,
        "DATABASE_URL": settings.database_dsn,
        "ANALYTICS_ENVIRONMENT": "dev",
        "ANALYTICS_LOG_LEVEL": "warning",
        "ANALYTICS_PSEUDONYM_KEYS": access.PSEUDONYM_KEYS,
        "ANALYTICS_API_KEYS": access.API_KEYS,
        "ANALYTICS_BATCH_SIZE": "1000",
        # a worker whose last acknowledgement fails, as on a busy machine, leaves entries for the others
        "ANALYTICS_FLUSH_INTERVAL": "1",
        "ANALYTICS_CLAIM_IDLE_SECONDS": "22",
        "ANALYTICS_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "ANALYTICS_TRUSTED_PROXIES": f'["{LOOPBACK}"]',
    }
    commands = {
        "ingest": (("ingest",), "ANALYTICS_INGEST_PORT"),
        "dashboard": (("dashboard",), "ANALYTICS_DASHBOARD_PORT"),
        "worker": (("worker",), "ANALYTICS_METRICS_PORT"),
        "live": (("worker", "--group", "live"), "ANALYTICS_METRICS_PORT"),
        "maintenance": (("maintenance",), "ANALYTICS_METRICS_PORT"),
    }
    replicas = [
        [
            Replica(f"{role}-{number}", command, shared | {variable: str(port)}, port)
            for number, port in ((1, any_free()), (2, any_free()))
        ]
        for role, (command, variable) in commands.items()
    ]
    fronts = {name: f"{LOOPBACK}:{any_free()}" for name in ("INGEST", "DASHBOARD", "STATS")}
    backs = {one.name.upper().replace("-", "_"): one.place for one in chain(*replicas)}
    async with AsyncExitStack() as stack:
        for replica in chain(*replicas):
            stack.push_async_callback(replica.kill)
        await asyncio.gather(*(replica.start() for replica in chain(*replicas)))
        await stack.enter_async_context(_haproxy(fronts | backs))
        urls = {name: f"http://{place}" for name, place in fronts.items()}
        stats = await stack.enter_async_context(httpx.AsyncClient(base_url=urls["STATS"]))
        deployment = Deployment(urls["INGEST"], urls["DASHBOARD"], replicas, stats)
        await deployment.until_up()
        yield deployment


@asynccontextmanager
async def _haproxy(addresses: Mapping[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        "haproxy",
        "-db",
        "-f",
        str(CONFIGURATION),
        # a retry would hide that a replica did not drain
        env={"PATH": os.environ["PATH"], "RETRIES": "0", **addresses},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    host, _, port = addresses["STATS"].partition(":")

    async def answers() -> bool:
        assert process.returncode is None, "haproxy ended by itself"
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(answers)
        yield
    finally:
        process.kill()
        await process.wait()
