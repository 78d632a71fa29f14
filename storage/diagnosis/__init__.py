"""Checks whether this Postgres server is suited for the events, and what is in the database."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import asyncpg

from runtime.clock import clock_skew
from runtime.diagnosis import Finding, check_clock
from storage import api_keys, dead_letters
from storage.batches.id_conflicts import read_conflicts
from storage.batches.verify_parts import last_success, read_drift
from storage.database import usage
from storage.database.failures import translated_errors
from storage.database.pool import connect
from storage.database.revision import head_revision, revision_of
from storage.diagnosis.contents import (
    RECENT,
    check_conflicts,
    check_dead_letters,
    check_drift,
    check_erasures,
    check_horizon,
    check_keys,
    check_losses,
    check_residue,
)
from storage.diagnosis.maintenance import check_leader, check_partitions_ahead, is_led
from storage.diagnosis.server import check_schema, check_server, check_usage, read_facts
from storage.diagnosis.sessions import check_limits, check_pooling, read_sessions
from storage.diagnosis.times import check_times, read_times_ahead
from storage.losses import read_losses
from storage.privacy.erasure import open_since
from storage.privacy.residue import read_residue
from storage.retention.horizon import has_removed, read_horizon
from storage.retention.partitions import weeks_ahead


async def diagnose(
    database_url: str,
    pool_size: int,
    now: datetime,
    raw_retention: timedelta,
    *,
    services: int | None = None,
    service_connections: int = 0,
) -> list[Finding]:
    """Return findings on the server, its schema and, if that is current, on the stored data.

    One process may open `pool_size` connections. `services` is the number of running processes, None if it is not
    known; together they may open `service_connections`. `now` is the time of the call. Raises StorageUnavailable.
    """
    connection = await connect(database_url, application_name="analytics-doctor")
    try:
        clock = await _diagnose_clock(connection, now)
        facts = await read_facts(connection)
        used = await usage.read_server_usage(connection)
        led = await is_led(connection)
        with translated_errors():
            current = await revision_of(connection)
        stored = await _diagnose_contents(connection, now, raw_retention) if current == head_revision() else []
    finally:
        await connection.close()
    sessions = await read_sessions(database_url)
    return [
        *check_server(facts),
        *check_usage(used, pool_size, service_connections),
        clock,
        check_pooling(sessions.pooling),
        check_limits(sessions.limits),
        check_schema(current),
        check_leader(led, services),
        *stored,
    ]


async def _diagnose_clock(connection: asyncpg.Connection, now: datetime) -> Finding:
    asked = time.monotonic()
    skew = clock_skew(await usage.read_time(connection), now, now + timedelta(seconds=time.monotonic() - asked))
    return check_clock("postgres.clock", skew, "retention and validity of keys are measured by several clocks")


async def _diagnose_contents(connection: asyncpg.Connection, now: datetime, raw_retention: timedelta) -> list[Finding]:
    return [
        check_partitions_ahead(await weeks_ahead(connection, now)),
        check_losses(await read_losses(connection), now),
        check_horizon(await read_horizon(connection), now, raw_retention, removed=await has_removed(connection)),
        check_times(await read_times_ahead(connection)),
        check_drift(await read_drift(connection), await last_success(connection)),
        check_dead_letters(await dead_letters.count_waiting(connection)),
        check_conflicts(await read_conflicts(connection, (now - RECENT).date())),
        check_erasures(await open_since(connection), now),
        check_residue(await read_residue(connection), now),
        check_keys(await api_keys.keys_in_force(connection), now),
    ]
