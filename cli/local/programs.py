"""The processes of `analytics up`, and the settings of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.local.dev_access import DevAccess
from cli.local.embedded import ports
from cli.local.inherited_environment import proxy_variables
from cli.local.supervised_process import Program
from runtime.settings import Settings
from storage.database.roles import Role


@dataclass(frozen=True, slots=True)
class Plan:
    """What `analytics up` runs, and where."""

    data_dir: Path
    ingest_port: int
    dashboard_port: int
    workers: int
    demo: bool
    settings: Settings
    """Settings of the caller's environment. A server that they do not name is embedded."""

    @property
    def logs(self) -> Path:
        """Directory of the log files."""
        return self.data_dir / "logs"

    @property
    def ingest_url(self) -> str:
        """URL of ingest."""
        return f"http://{ports.LOOPBACK}:{self.ingest_port}"

    @property
    def dashboard_url(self) -> str:
        """URL of the read service."""
        return f"http://{ports.LOOPBACK}:{self.dashboard_port}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """URLs of the servers, each with the login of one kind of process and only the rights it needs."""

    redis: Callable[[str], str]
    """Takes the name of a Redis user, see `stream.server.permissions`."""
    database: Callable[[Role], str]
    """Takes a database role."""


class Programs:
    """Returns the program of each process of one system."""

    def __init__(self, plan: Plan, access: DevAccess, addresses: Addresses) -> None:
        """`access` holds the secrets, `addresses` the URLs of the servers."""
        self._plan = plan
        self._access = access
        self._addresses = addresses
        self._shared = {
            "ANALYTICS_ENVIRONMENT": os.environ.get("ANALYTICS_ENVIRONMENT", "dev"),
            "ANALYTICS_LOG_FORMAT": os.environ.get("ANALYTICS_LOG_FORMAT", "json"),
            # no load balancer has to notice, and Ctrl-C must be fast
            "ANALYTICS_DRAIN_SECONDS": "0",
        }

    def ingest(self) -> Program:
        """Return the ingest service. It gets no address of Postgres."""
        settings = {
            **self._access.ingest_environment(),
            "REDIS_URL": self._addresses.redis("ingest"),
            "ANALYTICS_INGEST_PORT": str(self._plan.ingest_port),
        }
        return _program(("ingest",), self._shared, settings, self._plan.ingest_url, "ingest")

    def dashboard(self) -> Program:
        """Return the read service."""
        settings = {
            **self._servers("dashboard", "reader"),
            **self._access.dashboard_environment(),
            # it may fetch a key set to verify learner tokens
            **proxy_variables(os.environ),
            "ANALYTICS_DASHBOARD_PORT": str(self._plan.dashboard_port),
        }
        return _program(("dashboard",), self._shared, settings, self._plan.dashboard_url, "dashboard")

    def workers(self) -> list[Program]:
        """Return the store workers."""
        names = [f"worker-{number}" for number in range(1, self._plan.workers + 1)]
        return [
            self._background(("worker", "--group", "store"), self._servers("worker", "writer"), name) for name in names
        ]

    def live_worker(self) -> Program:
        """Return the live worker. It gets no address of Postgres."""
        settings = {"REDIS_URL": self._addresses.redis("live")}
        return self._background(("worker", "--group", "live"), settings, "worker-live")

    def maintenance(self) -> Program:
        """Return the maintenance process."""
        settings = self._servers("maintenance", "maintenance")
        return self._background(("maintenance",), settings, "maintenance")

    def demo(self) -> Program:
        """Return the sender of synthetic traffic. It finds the system by its dev.json."""
        return Program("demo", ("demo", "--data-dir", str(self._plan.data_dir)), self._shared)

    def _background(self, arguments: tuple[str, ...], servers: Mapping[str, str], name: str) -> Program:
        port = ports.any_free()
        settings = {**servers, "ANALYTICS_METRICS_PORT": str(port)}
        return _program(arguments, self._shared, settings, f"http://{ports.LOOPBACK}:{port}", name)

    def _servers(self, command: str, role: Role) -> dict[str, str]:
        return {"REDIS_URL": self._addresses.redis(command), "DATABASE_URL": self._addresses.database(role)}


def _program(
    arguments: tuple[str, ...], shared: Mapping[str, str], settings: Mapping[str, str], url: str, name: str
) -> Program:
    return Program(name, arguments, {**shared, **settings}, f"{url}/readyz")
