"""The whole system as a user runs it: `analytics up` and other commands, as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.local import dev_file
from runtime.settings import Settings
from stream.entries.lag import measure
from stream.server.connection import connect
from tests.support.running import running
from tests.support.waiting import eventually


def analytics(*arguments: str) -> str:
    """Run a command, which must succeed; return its output."""
    command = [sys.executable, "-m", "cli.main", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


class System:
    """A running system."""

    def __init__(self, data_dir: Path, facts: dev_file.DevFile) -> None:
        self.data_dir = data_dir
        self.ingest_url = facts.ingest_url
        self.dashboard_url = facts.dashboard_url
        self.database_url = facts.database_url
        self.redis_url = facts.redis_url
        self.write_key = facts.write_key
        self.read_key = facts.read_key
        self.admin_key = facts.admin_key

    async def settled(self) -> None:
        """Wait until every accepted event is in the tables."""
        redis = connect(Settings.model_validate({"redis_url": self.redis_url}))

        async def nothing_waits() -> bool:
            lag = await measure(redis, 0)
            return lag.undelivered == 0 and lag.pending == 0

        await eventually(nothing_waits)
        await redis.aclose()


@asynccontextmanager
async def running_system(data_dir: Path, *options: str, **environment: str) -> AsyncIterator[System]:
    """Run `analytics up` without demo traffic on free ports for the block. It must end cleanly."""
    ports = ("--ingest-port", "0", "--dashboard-port", "0")
    command = [sys.executable, "-m", "cli.main", "up", "--no-demo", "--data-dir", str(data_dir), *ports, *options]
    log = data_dir / "up.log"
    async with running(*command, log=log, environment={**os.environ, **environment}) as process:
        await eventually(lambda: process.returncode is not None or dev_file.read(data_dir))
        facts = dev_file.read(data_dir)
        assert facts is not None, log.read_text()
        yield System(data_dir, facts)
