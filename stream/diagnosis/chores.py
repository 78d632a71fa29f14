"""Checks the last runs of the chores of maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runtime.diagnosis import MAX_SKEW, Finding, check
from stream.registry.chores import ChoreRecord


def check_chores(records: Sequence[ChoreRecord] | None, now: datetime) -> Finding:
    """Check for chores that are overdue; `records` is None if no process has published any."""
    name = "maintenance.chores"
    if records is None:
        return Finding(name, "warn", "no process reports its chores", "start `analytics maintenance`")
    ahead = [record for record in records if max(record.since, record.succeeded_at or record.since) > now + MAX_SKEW]
    if ahead:
        return Finding(
            name,
            "fail",
            f"ran in the future: {'; '.join(map(_describe, ahead))}",
            "correct the clocks by NTP, then restart `analytics maintenance`: until then no chore looks overdue",
        )
    overdue = [record for record in records if record.is_overdue(now)]
    return check(
        name,
        not overdue,
        "; ".join(map(_describe, overdue)) or f"{len(records)} run on time",
        "see the log of `analytics maintenance`, and `Chore overdue` in docs/operations.md",
        otherwise="warn",
    )


def _describe(record: ChoreRecord) -> str:
    success = f"last success {record.succeeded_at:%Y-%m-%d %H:%M} UTC" if record.succeeded_at else "no success yet"
    return f"{record.name}: {success}{', ' if record.error else ''}{record.error}"
