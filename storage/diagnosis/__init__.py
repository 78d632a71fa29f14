"""Checks whether this Postgres server is suited for the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from runtime.diagnosis import Finding, check
from storage.batches.id_conflicts import ConflictKind, read_conflicts
from storage.database.failures import translated_errors
from storage.database.pool import connect
from storage.database.revision import current_revision, head_revision
from storage.losses import StreamLoss, read_losses
from storage.privacy.residue import PLACES_IN_REDIS, Residue, read_residue
from storage.retention.horizon import read_horizon

_OLDEST: Final = 15
_LONG_TRANSACTION_SECONDS: Final = 600
_RECENT: Final = timedelta(days=7)
_MAX_LISTED: Final = 10
_DIFFERENCES: Final = {"event_type": "type", "learner": "learner"}
_LONG_RESIDUE: Final = timedelta(days=2)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FACTS: Final = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int / 10000 AS major,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       (SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float8
          FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS oldest_seconds
"""


async def diagnose(database_url: str, pool_size: int, now: datetime, raw_retention: timedelta) -> list[Finding]:
    """Return findings on the server, its schema and the stored data. Raises StorageUnavailable."""
    connection = await connect(database_url, application_name="analytics-doctor")
    try:
        with translated_errors():
            facts = await connection.fetchrow(_FACTS)
            current = await current_revision(database_url)
            is_current = current == head_revision()
            losses = await read_losses(connection) if is_current else []
            horizon = await read_horizon(connection) if is_current else None
            conflicts = await read_conflicts(connection, (now - _RECENT).date()) if is_current else {}
            residue = await read_residue(connection) if is_current else []
    finally:
        await connection.close()
    assert facts is not None
    return [
        *check_server(facts, pool_size),
        _check_schema(current),
        check_losses(losses, now),
        check_horizon(horizon, now, raw_retention),
        check_conflicts(conflicts),
        check_residue(residue, now),
    ]


def check_server(facts: asyncpg.Record, pool_size: int) -> list[Finding]:
    """Check the version and settings of the server. One process may open `pool_size` connections."""
    left = facts["connections"] - facts["used"]
    return [
        check(
            "postgres.version",
            facts["major"] >= _OLDEST,
            f"PostgreSQL {facts['version']}",
            f"use PostgreSQL {_OLDEST} or newer",
        ),
        check(
            "postgres.durability",
            facts["fsync"] == "on" and facts["synchronous_commit"] != "off",
            f"fsync is {facts['fsync']}, synchronous_commit is {facts['synchronous_commit']}",
            "set both to on: events are acknowledged in Redis once Postgres confirms the commit",
        ),
        check(
            "postgres.connections",
            left >= pool_size,
            f"{facts['used']} of {facts['connections']} in use",
            f"raise max_connections or lower ANALYTICS_DB_POOL_SIZE ({pool_size} per process)",
            otherwise="warn",
        ),
        check(
            "postgres.transactions",
            facts["oldest_seconds"] < _LONG_TRANSACTION_SECONDS,
            f"the oldest is {facts['oldest_seconds']:.0f} s old",
            "end it (pg_terminate_backend): it prevents vacuum",
            otherwise="warn",
        ),
    ]


def check_losses(losses: Sequence[StreamLoss], now: datetime) -> Finding:
    """Check for recent losses of the streams."""
    recent = [loss for loss in losses if now - loss.noticed_at < _RECENT]
    return check(
        "stream.losses",
        not any(loss.lost for loss in recent),
        f"{sum(loss.lost for loss in recent)} entries in {_RECENT.days} days",
        "Redis lost entries that were not stored: see `Redis lost data` in docs/operations.md",
        otherwise="warn",
    )


def check_horizon(horizon: datetime | None, now: datetime, raw_retention: timedelta) -> Finding:
    """Check whether ingest accepts events from before the retention horizon; `horizon` is None if unknown."""
    return check(
        "retention.horizon",
        horizon is None or horizon <= now - raw_retention,
        f"raw events before {horizon:%Y-%m-%d} were removed"
        if horizon and horizon > _NEVER
        else "no raw events were removed yet",
        "ANALYTICS_RAW_RETENTION_DAYS was raised: events with ids from before this time are accepted, then parked as"
        " before_retention_horizon",
        otherwise="warn",
    )


def check_conflicts(conflicts: Mapping[ConflictKind, int]) -> Finding:
    """Check for recent events that were dropped because another event has the same id."""
    listed = [
        f"{events} from {kind.source}, of another {_DIFFERENCES[kind.differs]} than that of {kind.stored_source}"
        for kind, events in list(conflicts.items())[:_MAX_LISTED]
    ]
    listed += [f"and {len(conflicts) - _MAX_LISTED} more kinds"] if len(conflicts) > _MAX_LISTED else []
    return check(
        "events.id_conflicts",
        not conflicts,
        f"dropped in {_RECENT.days} days: {'; '.join(listed)}" if conflicts else f"none in {_RECENT.days} days",
        "these services use one event_id for different events, and only the first is stored: send UUIDs, or ids that"
        " are unique within each service. See `Conflicts of event ids` in docs/operations.md",
        otherwise="warn",
    )


def check_residue(left: Sequence[Residue], now: datetime) -> Finding:
    """Check how long bytes of erased learners have remained in files."""
    oldest: dict[str, datetime] = {}
    for place, since in left:
        store = "Redis" if place in PLACES_IN_REDIS else "Postgres"
        oldest[store] = min(oldest.get(store, since), since)
    listed = [f"{store} since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for store, since in sorted(oldest.items())]
    return check(
        "erasure.residue",
        all(now - since < _LONG_RESIDUE for since in oldest.values()),
        f"bytes of erased learners may be in {', '.join(listed)} (UTC)" if listed else "none",
        "see `Erased bytes stay` in docs/operations.md",
        otherwise="warn",
    )


def _check_schema(current: str | None) -> Finding:
    head = head_revision()
    is_newer = current is not None and current > head
    return check(
        "postgres.schema",
        current == head,
        f"at revision {current}" if current else "never migrated",
        f"use the newer release: this one has {head}" if is_newer else f"run `analytics migrate up` to reach {head}",
    )
