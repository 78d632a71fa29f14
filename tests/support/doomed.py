"""Processes of ours that are to die: a service in a process of its own, with a failpoint armed."""

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
    "worker": "processors.worker",
    "maintenance": "processors.maintenance",
    "ingest": "ingest.server",
}

# The command line refuses to claim from workers that may still be at work; what is tested here is that it is safe.
_RUN = """
import asyncio, importlib, os, sys
from runtime import failpoints
from runtime.settings import load_settings
from telemetry import logging
settings = load_settings()
if "CLAIM_IDLE_SECONDS" in os.environ:
    settings = settings.model_copy(update={"claim_idle_seconds": float(os.environ["CLAIM_IDLE_SECONDS"])})
logging.configure(settings)
failpoints.arm(settings.failpoint)
asyncio.run(importlib.import_module(sys.argv[1]).serve(settings))
"""


async def started(service: str, settings: Settings, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start a service on the servers of `settings`."""
    return await asyncio.create_subprocess_exec(
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
            "REDIS_URL": settings.redis_dsn,
            "DATABASE_URL": settings.database_dsn,
            **environment,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def killed_at(point: Failpoint, hit: int, service: str, settings: Settings, **environment: str) -> None:
    """Run a service until the failpoint kills it; fail when it ends in any other way."""
    process = await started(service, settings, {"ANALYTICS_FAILPOINT": f"{point}:kill:{hit}", **environment})
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == -signal.SIGKILL, said.decode()
