"""The processes of a system run by `analytics up`, and the settings each is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.child import Program
from cli.dev_access import DevAccess
from runtime.embedded import ports
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where."""

    data_dir: Path
    ingest_port: int
    dashboard_port: int
    workers: int
    demo: bool
    settings: Settings
    """Of the caller's environment: a server it names is used, one it does not name is embedded."""

    @property
    def logs(self) -> Path:
        """Where every process writes its log."""
        return self.data_dir / "logs"

    @property
    def ingest_url(self) -> str:
        """Where events go."""
        return f"http://{ports.LOOPBACK}:{self.ingest_port}"

    @property
    def dashboard_url(self) -> str:
        """Where answers come from."""
        return f"http://{ports.LOOPBACK}:{self.dashboard_port}"


class Programs:
    """Makes each program of one system."""

    def __init__(self, plan: Plan, access: DevAccess, redis_url: str, database_url: str) -> None:
        """Keep what the programs' settings need."""
        self._plan = plan
        self._shared = {
            **access.environment(),
            "REDIS_URL": redis_url,
            "ANALYTICS_ENVIRONMENT": os.environ.get("ANALYTICS_ENVIRONMENT", "dev"),
            "ANALYTICS_LOG_FORMAT": os.environ.get("ANALYTICS_LOG_FORMAT", "json"),
        }
        self._with_database = {**self._shared, "DATABASE_URL": database_url}

    def ingest(self) -> Program:
        """Return the service that accepts events."""
        settings = {"ANALYTICS_INGEST_PORT": str(self._plan.ingest_port)}
        return _program("ingest", self._shared, settings, self._plan.ingest_url)

    def dashboard(self) -> Program:
        """Return the service that answers."""
        settings = {"ANALYTICS_DASHBOARD_PORT": str(self._plan.dashboard_port)}
        return _program("dashboard", self._with_database, settings, self._plan.dashboard_url)

    def workers(self) -> list[Program]:
        """Return the store workers."""
        return [self._background("worker", f"worker-{number}") for number in range(1, self._plan.workers + 1)]

    def maintenance(self) -> Program:
        """Return the housekeeper."""
        return self._background("maintenance", "maintenance")

    def demo(self) -> Program:
        """Return the sender of synthetic traffic; it finds the system by its dev.json."""
        return Program("demo", ("demo", "--data-dir", str(self._plan.data_dir)), self._shared)

    def _background(self, command: str, name: str) -> Program:
        port = ports.any_free()
        return _program(
            command, self._with_database, {"ANALYTICS_METRICS_PORT": str(port)}, f"http://{ports.LOOPBACK}:{port}", name
        )


def _program(
    command: str, shared: Mapping[str, str], settings: Mapping[str, str], url: str, name: str | None = None
) -> Program:
    return Program(name or command, (command,), {**shared, **settings}, f"{url}/readyz")
