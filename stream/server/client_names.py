"""The name of every connection in Redis. It tells which processes run, of which release and with which settings.

A name costs nothing while a process runs and ends with its connections. A record of each process would have to be
renewed, and would outlive a process that is killed.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.errors import StreamUnavailable
from runtime.release import release
from stream.server.failures import NOT_PERMITTED, translated_errors

Role = Literal["ingest", "worker", "live", "maintenance", "dashboard", "command"]

PREFIX: Final = "studyin-analytics"
"""Begins every name. The releases before this one have no more than this."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.+-]")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is connected to Redis."""

    role: str
    release: str
    partitions: int
    """Number of partitions in its settings."""
    database_connections: int
    """Maximum number of its connections to Postgres."""
    process: str
    """Host, process id and a random part."""
    connections: int
    """Number of its connections to Redis."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All processes of this system that are connected to Redis: those with the same number of a database."""

    processes: tuple[Process, ...]
    unnamed_connections: int
    """Connections of releases that do not name their processes."""
    clients: int
    """Connections of all clients, also of other systems and databases."""

    @property
    def services(self) -> tuple[Process, ...]:
        """The processes that are no commands of operators."""
        return tuple(process for process in self.processes if process.role != "command")


def client_name(role: Role, *, partitions: int, database_connections: int = 0) -> str:
    """Return the name of the connections of this process."""
    facts = {
        "role": role,
        "release": release(),
        "partitions": partitions,
        "database": database_connections,
        "process": _process_name(),
    }
    # Redis refuses spaces and characters outside of ASCII
    return "/".join([PREFIX, *(f"{name}={_UNSAFE.sub('-', str(value))}" for name, value in facts.items())])


@cache
def _process_name() -> str:
    # processes of two containers may have the same host name and process id
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


async def read_fleet(redis: Redis) -> Fleet | None:
    """Return the processes that are connected to the database of `redis`; None if this login may not list clients.

    Raises StreamUnavailable.
    """
    try:
        with translated_errors():
            clients: list[dict[str, Any]] = await redis.client_list()
    except ResponseError:
        # a managed server without the command
        return None
    except StreamUnavailable as error:
        if error.reason != NOT_PERMITTED:
            raise
        return None
    return fleet_of(clients, database_of(redis))


def database_of(redis: Redis) -> int:
    """Return the number of the database that the connections of a client select."""
    # the server would tell only logins with one more right (CLIENT INFO)
    return int(redis.connection_pool.connection_kwargs.get("db") or 0)


def fleet_of(clients: Sequence[Mapping[str, Any]], database: int) -> Fleet:
    """Return the processes behind the connections to a database, from the reply of CLIENT LIST. Pure."""
    names = [str(client.get("name", "")) for client in clients if int(client.get("db", database)) == database]
    ours = Counter(name for name in names if name.partition("/")[0] == PREFIX)
    found = {name: _process(name, count) for name, count in ours.items()}
    return Fleet(
        tuple(sorted((one for one in found.values() if one), key=lambda one: (one.role, one.process))),
        sum(ours[name] for name, process in found.items() if process is None),
        len(clients),
    )


def _process(name: str, connections: int) -> Process | None:
    facts = dict(part.split("=", 1) for part in name.split("/")[1:] if "=" in part)
    try:
        return Process(
            facts["role"],
            facts["release"],
            int(facts["partitions"]),
            int(facts["database"]),
            facts["process"],
            connections,
        )
    except (KeyError, ValueError):
        return None
