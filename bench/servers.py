"""Fresh embedded servers with production settings, and processes of the product as `analytics up` starts them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from bench.backlog import PSEUDONYM_KEYS
from bench.tree import THIS, Tree
from cli.local.dev_access import DevAccess, ensure_access
from cli.local.embedded.ports import LOOPBACK, any_free
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from runtime.settings import Settings
from storage.database.migrate import upgrade
from stream.server.connection import Redis, connect

BATCH_SIZE: Final = 1_000
_POLL_SECONDS: Final = 0.05
_READY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Running servers with a migrated database."""

    directory: Path
    redis_url: str
    database_url: str
    access: DevAccess

    def environment(self) -> dict[str, str]:
        """Return the settings with which a process finds the servers."""
        return {
            **self.access.environment(),
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "ANALYTICS_ENVIRONMENT": "dev",
            "ANALYTICS_LOG_LEVEL": "warning",
            "ANALYTICS_LOG_FORMAT": "json",
            "ANALYTICS_DRAIN_SECONDS": "0",
        }

    def client(self) -> Redis:
        """Return a client with the settings of a service."""
        return connect(Settings.model_validate({"redis_url": self.redis_url}))


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    pid: int


@contextmanager
def fresh_directory() -> Iterator[Path]:
    """Create an empty directory for the block that the account of PostgreSQL may enter."""
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-bench-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place)


@asynccontextmanager
async def fresh_servers() -> AsyncIterator[Servers]:
    """Run empty servers for the block."""
    with fresh_directory() as directory:
        redis, postgres = Valkey(directory / "redis"), Postgres(directory / "postgres")
        try:
            await asyncio.gather(asyncio.to_thread(redis.start), asyncio.to_thread(postgres.start))
            await upgrade(postgres.url)
            access = ensure_access(directory / "access.json", {"ANALYTICS_PSEUDONYM_KEYS": PSEUDONYM_KEYS})
            yield Servers(directory, redis.url, postgres.url, access)
        finally:
            await asyncio.to_thread(redis.stop)
            await asyncio.to_thread(postgres.destroy)


@asynccontextmanager
async def ingest(servers: Servers) -> AsyncIterator[str]:
    """Run ingest for the block. Yields its URL."""
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    environment = servers.environment() | {"DATABASE_URL": "", "ANALYTICS_INGEST_PORT": str(port)}
    async with process(("cli.main", "ingest"), environment, servers.directory / f"ingest-{port}.log", f"{url}/readyz"):
        yield url


@asynccontextmanager
async def dashboard(servers: Servers) -> AsyncIterator[Service]:
    """Run the read service for the block."""
    port = any_free()
    url = f"http://{LOOPBACK}:{port}"
    environment = servers.environment() | {"ANALYTICS_DASHBOARD_PORT": str(port)}
    log = servers.directory / f"dashboard-{port}.log"
    async with process(("cli.main", "dashboard"), environment, log, f"{url}/readyz") as pid:
        yield Service(url, pid)


@asynccontextmanager
async def worker(servers: Servers, batch_size: int = BATCH_SIZE, partitions: int = 1) -> AsyncIterator[int]:
    """Run a store worker for the block. Yields its process id."""
    port = any_free()
    environment = servers.environment() | {
        "ANALYTICS_BATCH_SIZE": str(batch_size),
        "ANALYTICS_STREAM_PARTITIONS": str(partitions),
        "ANALYTICS_METRICS_PORT": str(port),
    }
    ready_url = f"http://{LOOPBACK}:{port}/readyz"
    log = servers.directory / f"worker-{port}.log"
    async with process(("cli.main", "worker"), environment, log, ready_url) as pid:
        yield pid


@asynccontextmanager
async def process(
    module: tuple[str, ...], environment: Mapping[str, str], log: Path, ready_url: str | None = None
) -> AsyncIterator[int]:
    """Run `python -m module` for the block. Yields its process id when its URL answers; sends SIGTERM at the end.

    Raises RuntimeError with the log.
    """
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module, env=os.environ | environment, stdout=output, stderr=output
        )
    try:
        if ready_url is not None:
            await _ready(child, ready_url, log)
        yield child.pid
        if child.returncode is not None:
            raise RuntimeError(f"{module} ended by itself: {_text(log)}")
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await child.wait()


async def _ready(child: asyncio.subprocess.Process, url: str, log: Path) -> None:
    async with asyncio.timeout(_READY_SECONDS), httpx.AsyncClient() as client:
        while child.returncode is None:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(_POLL_SECONDS)
    raise RuntimeError(f"{url} never became ready: {_text(log)}")


def _text(log: Path) -> str:
    return log.read_text()


async def verify(
    data_dir: Path, accepted: int, environment: Mapping[str, str] | None = None, tree: Tree = THIS
) -> None:
    """Raise RuntimeError unless `verify` finds no drift, balanced books, and all accepted events settled."""
    child = await asyncio.create_subprocess_exec(
        *tree.command("cli.main", "verify", "--json", "--data-dir", str(data_dir)),
        cwd=tree.root,
        env={**tree.environment(), **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"analytics verify: {out.decode()}{errors.decode()}")
    found: dict[str, Any] = json.loads(out)
    books = found["books"]
    if found["drift"] or any(
        each["balanced"] is not True or each["in_flight"] or each["dead_lettered"] for each in books
    ):
        raise RuntimeError(f"analytics verify: {out.decode()}")
    # a request without an answer may have been appended, so there may be more
    appended = sum(each["appended"] for each in books)
    if appended < accepted:
        raise RuntimeError(f"{accepted:,} events were accepted, {appended:,} appended")
