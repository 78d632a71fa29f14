"""Services in separate processes that are killed, with a failpoint armed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping

from runtime.failpoints import Failpoint
from runtime.settings import Settings
from tests.support import access

SERVICES = {
    "worker": "processors.store.worker",
    "live": "processors.live.worker",
    "maintenance": "processors.maintenance.process",
    "ingest": "ingest.server",
    "dashboard": "dashboard.server",
}

# The command line refuses to claim from workers that may still be running; here tests prove that it is safe.
_RUN = """
import asyncio, importlib, os, sys
from runtime import failpoints
from runtime.environment import load_settings
from telemetry import logging
settings = load_settings()
if "CLAIM_IDLE_SECONDS" in os.environ:
    settings = settings.model_copy(update={"claim_idle_seconds": float(os.environ["CLAIM_IDLE_SECONDS"])})
logging.configure(settings)
failpoints.arm(settings.failpoint)
asyncio.run(importlib.import_module(sys.argv[1]).serve(settings))
"""


class Doomed:
    """A service in a separate process."""

    def __init__(self, service: str, process: asyncio.subprocess.Process) -> None:
        self.service = service
        self._process = process

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @classmethod
    async def start(cls, service: str, settings: Settings, environment: Mapping[str, str]) -> Doomed:
        """Start a service on the servers of `settings`; `environment` may arm a failpoint."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _RUN,
            SERVICES[service],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONWARNINGS": "error",
                "ANALYTICS_ENVIRONMENT": "dev",
                "ANALYTICS_LOG_LEVEL": "warning",
                "ANALYTICS_PSEUDONYM_KEYS": access.PSEUDONYM_KEYS,
                "ANALYTICS_API_KEYS": access.API_KEYS,
                "ANALYTICS_DRAIN_SECONDS": "0",
                "REDIS_URL": settings.redis_dsn,
                "DATABASE_URL": settings.database_dsn,
                "ANALYTICS_DURABILITY": settings.durability,
                **environment,
            },
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(service, process)

    async def end(self) -> int:
        """Wait for the end; return the exit code, which must be that of a signal or an orderly end."""
        _, said = await self._process.communicate()
        expected = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM, 0)
        assert self._process.returncode in expected, said.decode()
        return self._process.returncode

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process.returncode is None:
            self._process.kill()

    def ask(self) -> bool:
        """Send SIGTERM, perhaps not for the first time; return whether the process has ended."""
        if self._process.returncode is None:
            self._process.terminate()
        return self._process.returncode is not None

    async def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self._process.terminate()
        return await self.end()


async def killed_at(point: Failpoint, hit: int, service: str, settings: Settings, **environment: str) -> None:
    """Run a service until the failpoint kills it. Fails if it ends otherwise."""
    doomed = await Doomed.start(service, settings, {"ANALYTICS_FAILPOINT": f"{point}:kill:{hit}", **environment})
    try:
        assert await doomed.end() == -signal.SIGKILL
    finally:
        doomed.kill()
