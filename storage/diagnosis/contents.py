"""Checks what is in the database: losses, events that were not stored, erasures, and API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from runtime.diagnosis import Finding, check
from schemas.access import IssuedKey
from storage.batches.id_conflicts import ConflictKind
from storage.losses import StreamLoss
from storage.privacy.residue import PLACES_IN_REDIS, Residue

RECENT: Final = timedelta(days=7)
_MAX_LISTED: Final = 10
_DIFFERENCES: Final = {"event_type": "type", "learner": "learner"}
_LONG_ERASURE: Final = timedelta(days=1)
_LONG_RESIDUE: Final = timedelta(days=2)
_EXPIRES_SOON: Final = timedelta(days=14)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_losses(losses: Sequence[StreamLoss], now: datetime) -> Finding:
    """Check for recent losses of the streams."""
    recent = [loss for loss in losses if now - loss.noticed_at < RECENT]
    return check(
        "stream.losses",
        not any(loss.lost for loss in recent),
        f"{sum(loss.lost for loss in recent)} entries in {RECENT.days} days",
        "Redis lost entries that were not stored: see `Redis lost data` in docs/operations.md",
        otherwise="warn",
    )


def check_horizon(horizon: datetime, now: datetime, raw_retention: timedelta, *, removed: bool) -> Finding:
    """Check whether ingest accepts events from before the retention horizon.

    `removed`: whether raw events from before it were removed, and not only empty weeks.
    """
    too_old = f"; events from before {horizon:%Y-%m-%d} are too old" if horizon > _NEVER else ""
    return check(
        "retention.horizon",
        horizon <= now - raw_retention,
        f"raw events before {horizon:%Y-%m-%d} were removed" if removed else f"no raw events were removed yet{too_old}",
        "events with ids from before this time are accepted, then parked as before_retention_horizon:"
        " ANALYTICS_RAW_RETENTION_DAYS was raised. Lower it until these weeks have passed, or accept this",
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
        f"dropped in {RECENT.days} days: {'; '.join(listed)}" if conflicts else f"none in {RECENT.days} days",
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


def check_dead_letters(waiting: Mapping[str, int]) -> Finding:
    """Check for dead letters that were not retried; `waiting` has their number by reason."""
    return check(
        "dead_letters.waiting",
        not waiting,
        ", ".join(f"{letters} {reason}" for reason, letters in sorted(waiting.items())) or "none",
        "see `Dead letters` in docs/operations.md: `analytics dlq list`, then `dlq retry` or `dlq drop`",
        otherwise="warn",
    )


def check_drift(drifts: Mapping[str, int], compared_at: datetime | None) -> Finding:
    """Check the last comparison of the aggregates with raw events; `drifts` has the rows that differed by table."""
    differing = [f"{rows} rows of {table}" for table, rows in sorted(drifts.items()) if rows]
    compared = (
        f"all were compared last: {compared_at:%Y-%m-%d %H:%M} UTC" if compared_at else "not all were compared yet"
    )
    return check(
        "verify.drift",
        not differing,
        f"{', '.join(differing) or 'no row'} differed; {compared}",
        "run `analytics verify`, then `analytics rebuild` and `analytics verify --new`. See `Drift` in"
        " docs/operations.md",
    )


def check_erasures(open_since: Sequence[datetime], now: datetime) -> Finding:
    """Check that no erasure takes too long; `open_since` is when each unfinished one was requested."""
    oldest = min(open_since, default=now)
    return check(
        "erasure.open",
        now - oldest <= _LONG_ERASURE,
        f"{len(open_since)} not finished{f', the oldest since {oldest:%Y-%m-%d %H:%M} UTC' if open_since else ''}",
        "see `Erasure late` in docs/operations.md",
    )


def check_keys(keys: Sequence[IssuedKey], now: datetime) -> Finding:
    """Check which of the API keys in force expire soon."""
    soon = sorted(
        (key.expires_at, key.key_id, key.source)
        for key in keys
        if key.expires_at is not None and key.expires_at - now < _EXPIRES_SOON
    )
    listed = [f"{key_id} of {source} at {at:%Y-%m-%d %H:%M} UTC" for at, key_id, source in soon[:_MAX_LISTED]]
    listed += [f"and {len(soon) - _MAX_LISTED} more"] if soon[_MAX_LISTED:] else []
    return check(
        "keys.expiry",
        not soon,
        f"soon expire {', '.join(listed)}" if soon else f"none of {len(keys)} issued keys expires soon",
        "issue a new key (`analytics keys create`) before the service is refused, then revoke the old one",
        otherwise="warn",
    )
