"""The system under attack: fresh servers, ingest, a store worker, the read service, and a reference service."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attack.attempt import Service
from attack.process import Process
from attack.wire import Access
from bench.servers import Servers, fresh_servers, process
from runtime.embedded.ports import LOOPBACK, any_free

WORKER: Final = "worker"

_OPEN_FILES: Final = 1_024
"""Maximum open files of a service: the usual limit of a process."""
_LEVEL: Final = {"ANALYTICS_LOG_LEVEL": "info", "ANALYTICS_FLUSH_INTERVAL": "1"}


@dataclass(frozen=True, slots=True)
class System:
    """Running services."""

    ingest: Process
    worker: Process
    dashboard: Process
    reference_port: int
    write_key: str
    read_key: str

    @property
    def processes(self) -> tuple[Process, ...]:
        """Return all monitored services."""
        return self.ingest, self.worker, self.dashboard

    def access(self, service: Service) -> Access:
        """Return the address of a service and the keys it accepts."""
        port = self.ingest.port if service is Service.INGEST else self.dashboard.port
        return Access(LOOPBACK, port, self.write_key, self.read_key)


@asynccontextmanager
async def running_system() -> AsyncIterator[System]:
    """Run everything for the block. Raises RuntimeError when a service ends by itself."""
    async with fresh_servers() as servers, AsyncExitStack() as stack:
        with _few_files():
            ingest = await stack.enter_async_context(_service(servers, "ingest", "ANALYTICS_INGEST_PORT"))
            worker = await stack.enter_async_context(_service(servers, WORKER, "ANALYTICS_METRICS_PORT"))
            dashboard = await stack.enter_async_context(_service(servers, "dashboard", "ANALYTICS_DASHBOARD_PORT"))
            reference_port = await stack.enter_async_context(_reference(servers.directory))
        yield System(ingest, worker, dashboard, reference_port, servers.access.write_key, servers.access.read_key)


@asynccontextmanager
async def _service(servers: Servers, name: str, port_setting: str) -> AsyncIterator[Process]:
    port = any_free()
    environment = servers.environment() | _LEVEL | {port_setting: str(port)}
    log = servers.directory / f"{name}.log"
    async with process(("cli.main", name), environment, log, f"http://{LOOPBACK}:{port}/readyz") as pid:
        yield Process(name, pid, port, log)


@asynccontextmanager
async def _reference(directory: Path) -> AsyncIterator[int]:
    port = any_free()
    command = ("bench.bare_server", str(port))
    async with process(command, {}, directory / "reference.log", f"http://{LOOPBACK}:{port}/"):
        yield port


@contextmanager
def _few_files() -> Iterator[None]:
    """Limit the open files of processes that start in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
