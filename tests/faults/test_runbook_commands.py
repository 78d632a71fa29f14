"""Every command of docs/operations.md is run at a fleet, and answers what the guide says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from cli.local.embedded.binaries import find_postgres
from cli.local.embedded.ports import LOOPBACK, any_free
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from ingest.routes import BATCH
from runtime.settings import Settings
from storage.database.migrate import upgrade
from stream.keys import stream_key
from stream.server.connection import connect
from tests.faults import test_restore
from tests.support import access
from tests.support.entries import append_events
from tests.support.events import event
from tests.support.fleet import answers
from tests.support.guide import GUIDE, commands
from tests.support.guide_answers import answer_to
from tests.support.prometheus import scraping
from tests.support.running import running
from tests.support.waiting import eventually

ROOT = GUIDE.parents[1]
FORGOTTEN = "forgotten"
"""Name of a connection whose transaction nobody ends."""


class Service(NamedTuple):
    """A process: its port in the guide, or a port of its own, the setting of that, and its command."""

    port: int
    port_setting: str
    command: tuple[str, ...]


SERVICES: Final = {
    "ingest": Service(8080, "ANALYTICS_INGEST_PORT", ("ingest",)),
    "dashboard": Service(8081, "ANALYTICS_DASHBOARD_PORT", ("dashboard",)),
    "worker": Service(9101, "ANALYTICS_METRICS_PORT", ("worker",)),
    "live": Service(9102, "ANALYTICS_METRICS_PORT", ("worker", "--group", "live")),
    "maintenance": Service(9100, "ANALYTICS_METRICS_PORT", ("maintenance",)),
}
PROMETHEUS_PORT: Final = 9090

VALUES: Final = {
    "NAME": "another-service",
    "PASSWORD": "a-password-of-the-tests",
    "TABLE_NAME": "learner_materials",
    "TIME": "1h",
    "USER_ID": "anna",
}
"""Placeholder of the guide: its value."""

FOUND: Final = {
    "ID": "SELECT stream_partition || ':' || entry_id FROM dead_letters WHERE retried_at IS NULL LIMIT 1",
    "KEY_ID": "SELECT key_id FROM api_keys WHERE revoked_at IS NULL LIMIT 1",
    "PID": f"SELECT pid::text FROM pg_stat_activity WHERE application_name = '{FORGOTTEN}'",
}
"""Placeholder of the guide: the query that finds a value."""


@dataclass(frozen=True)
class Desk:
    """A shell beside a fleet. Each service has a log in the working directory."""

    place: Path
    environment: dict[str, str]
    ports: dict[int, str]

    async def run(self, line: str) -> tuple[int, str]:
        """Run a command of the guide; return the exit code and the output."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-o",
            "pipefail",
            "-c",
            await self._here(line),
            env=self.environment,
            cwd=self.place,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def _here(self, line: str) -> str:
        """Return a command without Docker, with the ports and values of this fleet."""
        line = re.sub(r"docker compose exec \w+ ", "", line)
        line = re.sub(r"docker compose logs(?: --tail \d+)?((?: \w+)+)", self._read_logs, line)
        for port, address in self.ports.items():
            line = line.replace(f"{LOOPBACK}:{port}", address)
        for name, value in VALUES.items():
            line = re.sub(rf"\b{name}\b", value, line)
        connection = await asyncpg.connect(self.environment["DATABASE_URL"])
        try:
            for name, query in FOUND.items():
                if re.search(rf"\b{name}\b", line):
                    line = re.sub(rf"\b{name}\b", await connection.fetchval(query), line)
        finally:
            await connection.close()
        return line

    @staticmethod
    def _read_logs(call: re.Match[str]) -> str:
        return "cat " + " ".join(f"{service}.log" for service in call[1].split())


@contextlib.asynccontextmanager
async def fleet(settings: Settings, place: Path) -> AsyncIterator[Desk]:
    """Run every service by its command, and a Prometheus that scrapes them."""
    ports = {service: any_free() for service in SERVICES}
    environment = environment_of(settings, place)
    addresses = {SERVICES[service].port: f"{LOOPBACK}:{port}" for service, port in ports.items()}
    async with contextlib.AsyncExitStack() as stack:
        for name, service in SERVICES.items():
            if name == "maintenance":
                # it measures at its start, and the next time after half a minute
                await give_work(settings, addresses[SERVICES["ingest"].port])
            with_port = environment | {service.port_setting: str(ports[name])}
            command = ("analytics", *service.command)
            await stack.enter_async_context(running(*command, log=place / f"{name}.log", environment=with_port))
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{ports[name]}"))
            await eventually(partial(answers, client))
        scraped = {name: [port] for name, port in ports.items()}
        prometheus = await stack.enter_async_context(scraping(place / "prometheus", scraped))
        await eventually(lambda: prometheus.query("analytics_stream_window_seconds and on () analytics_books_entries"))
        ingest = {"ANALYTICS_INGEST_URL": f"http://{addresses[SERVICES['ingest'].port]}"}
        yield Desk(place, environment | ingest, addresses | {PROMETHEUS_PORT: prometheus.address})


def environment_of(settings: Settings, place: Path) -> dict[str, str]:
    """Return the environment of an operator, which the services share here."""
    programs = (place / "bin", Path(sys.executable).parent, find_postgres().bin)
    postgres = urlsplit(settings.database_dsn)
    return {
        "PATH": ":".join([*map(str, programs), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        "PGHOST": str(postgres.hostname),
        "PGPORT": str(postgres.port),
        "DATABASE_URL": settings.database_dsn,
        "REDIS_URL": settings.redis_dsn,
        "KEY": access.READ_KEY,
        "ANALYTICS_ENVIRONMENT": "dev",
        "ANALYTICS_DRAIN_SECONDS": "0",
        "ANALYTICS_DATA_DIR": str(place / "data"),
        "ANALYTICS_PSEUDONYM_KEYS": access.PSEUDONYM_KEYS,
        "ANALYTICS_API_KEYS": access.API_KEYS,
        "ANALYTICS_API_KEY_SECRET": access.JWT_SECRET,
        "ANALYTICS_JWT_SECRET": access.JWT_SECRET,
        "ANALYTICS_WRITE_KEY": access.WRITE_KEY,
    }


@pytest.mark.needs_tool("curl")
@pytest.mark.needs_tool("jq")
@pytest.mark.needs_tool("prometheus")
@pytest.mark.timeout(180)
async def test_every_command_answers_what_the_guide_says(
    own_valkey: Valkey, own_postgres: Postgres, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"redis_url": own_valkey.url, "database_url": own_postgres.url})
    await upgrade(own_postgres.url)
    lay_out(tmp_path, own_valkey, own_postgres)
    async with fleet(settings, tmp_path) as desk, forgotten_transaction(settings):
        for command in commands(elsewhere=test_restore.RUN):
            code, output = await desk.run(command)
            answer = answer_to(command)
            assert code in answer.codes, f"{command}\n{output}"
            assert re.search(answer.text, output.strip()), f"{command}\n{output}"


def learner_events(count: int, learner: str = "anna") -> list[dict[str, Any]]:
    """Return different events of a learner."""
    return [
        {"event_type": "xp_earned", "user_id": learner, "properties": {"xp_amount": amount}} for amount in range(count)
    ]


def lay_out(place: Path, valkey: Valkey, postgres: Postgres) -> None:
    """Make the files that commands read."""
    (place / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / ".env.example", place / "deploy")
    (place / "redis.log").symlink_to(valkey.home / "valkey.log")
    (place / "postgres.log").symlink_to(postgres.home / "postgres.log")
    (place / "bin").mkdir()
    client = place / "bin" / "redis-cli"
    client.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.support.redis_cli "$@"\n')
    client.chmod(0o755)
    (place / "old").mkdir()
    invalid = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": -1}}
    for name, events in {"events": [*learner_events(3), invalid], "old/2025": learner_events(5)}.items():
        text = "".join(json.dumps(one) + "\n" for one in events)
        (place / f"{name}.ndjson.gz").write_bytes(gzip.compress(text.encode()))


async def give_work(settings: Settings, ingest: str) -> None:
    """Send events, park some, and leave behind what operators find: a foreign group."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {access.WRITE_KEY}"}) as client:
        facts = {"endpoint": "/courses", "method": "GET", "status_code": 503, "duration_ms": 20}
        calls = [{"event_type": "api_request", "properties": facts}] * 3
        reply = await client.post(f"http://{ingest}{BATCH}", json=[*learner_events(2), *calls])
        assert reply.status_code == 202, reply.text
    connection = await asyncpg.connect(settings.database_dsn)
    await connection.execute(
        "ALTER TABLE analytics_events ADD CONSTRAINT wrong CHECK (properties ->> 'xp_amount' <> '7')"
    )
    redis = connect(settings)
    await append_events(redis, [event("xp_earned", {"xp_amount": 7}, number=number) for number in range(3)])
    parked = "SELECT count(*) = 3 FROM dead_letters"
    await eventually(lambda: connection.fetchval(parked))
    await connection.execute("ALTER TABLE analytics_events DROP CONSTRAINT wrong")
    await connection.close()
    await redis.xgroup_create(stream_key(0), "spy", id="0")
    await redis.aclose()


@contextlib.asynccontextmanager
async def forgotten_transaction(settings: Settings) -> AsyncIterator[None]:
    """Leave a transaction open for the block."""
    connection = await asyncpg.connect(settings.database_dsn, server_settings={"application_name": FORGOTTEN})
    await connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.terminate()
