"""Checks that maintenance is led, and that it created partitions in advance."""

from __future__ import annotations

from typing import Final

import asyncpg

from runtime.diagnosis import Finding, check
from storage.database.failures import translated_errors
from storage.database.locks import LEADER_LOCK_ROW
from storage.database.pool import Connection

_WEEKS_AHEAD: Final = 2

_IS_LED: Final = f"SELECT EXISTS (SELECT FROM pg_locks WHERE {LEADER_LOCK_ROW})"


async def is_led(connection: asyncpg.Pool | Connection) -> bool:
    """Return whether a process leads maintenance. Raises StorageUnavailable."""
    with translated_errors():
        led: bool = await connection.fetchval(_IS_LED)
    return led


def check_leader(led: bool, services: int | None) -> Finding:
    """Check that a process leads maintenance; without running processes nobody has to.

    `services` is the number of running processes, None if it is not known.
    """
    return check(
        "maintenance.leader",
        led,
        "a process leads" if led else "nobody leads",
        "start `analytics maintenance`: nothing is trimmed, erased or removed, and no partitions are created. See"
        " `Nobody leads` in docs/operations.md",
        otherwise="fail" if services else "warn",
    )


def check_partitions_ahead(weeks: float) -> Finding:
    """Check for how many weeks from now partitions of raw events exist."""
    return check(
        "postgres.partitions",
        weeks >= _WEEKS_AHEAD,
        f"exist for {max(weeks, 0):.1f} weeks ahead",
        "see `No partitions ahead` in docs/operations.md: events without a partition are not stored",
    )
