"""Verifies the aggregates part by part: a day of the tables that have days, a share of the learners of the others.

The last three days, one share of the learners and one of the closed days are compared every night, whatever differed
again. So what late events, erasures and retention change in a closed day is compared too, if not the same night. The
comparison of a part is as exact as that of everything. A part is chosen by a condition on the key of its rows, which
follows from the event alone, so the events that contribute to its rows are known. Both are read in one snapshot, and a
batch changes both in one transaction. Parts do not overlap, so each may have a snapshot of its own: none lasts for
long, and vacuum continues.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from storage.batches.rollups import RAW_EVENTS, ROLLUPS, Rollup
from storage.batches.verify import TableDrift, compare, expiry_cutoff
from storage.database.failures import translated_errors
from storage.database.pool import Connection

SHARES: Final = 32
"""Shares of the learners, by the first bits of the pseudonym, and of the days: all are compared within these nights."""

_DAY: Final = timedelta(days=1)
# the day before yesterday too: west of Greenwich, yesterday may last until noon (UTC)
_OPEN_DAYS: Final = 3
_LONGEST_RUN: Final = _DAY


class Part(NamedTuple):
    """Rows of some aggregates that are compared in one snapshot."""

    name: str
    """Stable name, in the order of comparison."""
    rollups: Sequence[Rollup]
    rows: Mapping[str, str]
    """SQL condition on the rows of each table."""
    events: Mapping[str, str]
    """SQL condition on the raw events that contribute to the rows of each table. It may hold for other events too."""


class Verified(NamedTuple):
    """The last comparison of a part."""

    at: datetime
    drift: int
    """Rows that differed."""


def day_part(day: date) -> Part:
    """Return the rows of a day: by activity date where the table has one, by UTC elsewhere."""
    rows, events = {}, {}
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for rollup in _OF_DAYS:
        column = _day_column(rollup)
        if column == "activity_date":
            rows[rollup.table] = f"activity_date = '{day}'"
            # the date is local, at most a day from UTC
            events[rollup.table] = f"{_occurred(begin - _DAY, begin + 2 * _DAY)} AND activity_date = '{day}'"
        else:
            rows[rollup.table] = f"{column} >= '{begin}' AND {column} < '{begin + _DAY}'"
            events[rollup.table] = _occurred(begin, begin + _DAY)
    return Part(_name_of(day), _OF_DAYS, rows, events)


def learners_part(share: int) -> Part:
    """Return the rows of a share of the learners, from 0, in the tables without days."""
    width = 256 // SHARES
    condition = f"user_hash >= '\\x{share * width:02x}'"
    if share + 1 < SHARES:
        condition += f" AND user_hash < '\\x{(share + 1) * width:02x}'"
    tables = [rollup.table for rollup in _OF_LEARNERS]
    return Part(
        f"learners {share:02}", _OF_LEARNERS, dict.fromkeys(tables, condition), dict.fromkeys(tables, condition)
    )


def due_parts(verified: Mapping[str, Verified], first: date, today: date, since: datetime) -> list[Part]:
    """Return the parts that must be compared again, or for the first time, by what was compared since `since`. Pure.

    Days before `first` have no raw events any more. A part that differed is due until it does not.
    """

    def is_due(part: Part, *, nightly: bool) -> bool:
        last = verified.get(part.name)
        return last is None or ((nightly or last.drift > 0) and last.at < since)

    days = [first + number * _DAY for number in range((today - first).days + 1)]
    again = _days_again(verified, [day for day in days if (today - day).days >= _OPEN_DAYS], since)
    nightly = {*again, *days[-_OPEN_DAYS:]}
    due = [part for day in days if is_due(part := day_part(day), nightly=day in nightly)]
    shares = sorted(
        map(learners_part, range(SHARES)),
        key=lambda part: (part.name in verified, verified[part.name].at if part.name in verified else since),
    )
    differed = [part for part in shares if part.name in verified and is_due(part, nightly=False)]
    if all(last.at < since for name, last in verified.items() if name.startswith("learners")):
        due.append(shares[0])
    return [*due, *(part for part in differed if part not in due)]


def _days_again(verified: Mapping[str, Verified], closed: Sequence[date], since: datetime) -> list[date]:
    """Return the closed days to compare again: those that were compared longest ago, a share less those since then."""
    moments = {day: verified[name].at for day in closed if (name := _name_of(day)) in verified}
    earlier = sorted((day for day, at in moments.items() if at < since), key=moments.__getitem__)
    compared = len(moments) - len(earlier)
    return earlier[: max(0, math.ceil(len(closed) / SHARES) - compared)]


async def verify_due(
    pool: asyncpg.Pool, now: datetime, since: datetime, raw_reach: timedelta, system_metrics_retention: timedelta
) -> list[TableDrift]:
    """Compare every part that is due, record the results, and return the differences by table.

    `raw_reach` is the age of the oldest raw events. An interrupted run continues with the next call. Reads the raw
    events of the parts. Raises StorageUnavailable.
    """
    # rows that expire before the run ends may be removed meanwhile
    cutoff = expiry_cutoff(now + _LONGEST_RUN, system_metrics_retention)
    first, today = (now - raw_reach).date(), now.date()
    found: list[TableDrift] = []
    with translated_errors():
        for part in due_parts(await _read_verified(pool), first, today, since):
            # a connection for each: vacuum may pass in between
            async with pool.acquire() as connection:
                drifts = await verify_part(connection, part, cutoff)
                await _record(connection, part, drifts)
            found += drifts
        await pool.execute(_SUCCEED, [rollup.table for rollup in ROLLUPS], _name_of(first))
    return _by_table(found)


async def last_success(pool: asyncpg.Pool | Connection) -> datetime | None:
    """Return when everything that was due was compared last; None if never. Raises StorageUnavailable."""
    with translated_errors():
        moment: datetime | None = await pool.fetchval("SELECT min(last_success_at) FROM verify_results")
    return moment


async def has_begun(pool: asyncpg.Pool) -> bool:
    """Return whether any part was ever compared. Raises StorageUnavailable."""
    with translated_errors():
        begun: bool = await pool.fetchval("SELECT EXISTS (SELECT FROM verified_parts)")
    return begun


async def read_drift(pool: asyncpg.Pool | Connection) -> dict[str, int]:
    """Return the rows of each table that differed when they were compared last. Raises StorageUnavailable."""
    with translated_errors():
        return {name: rows for name, rows in await pool.fetch("SELECT table_name, drift_rows FROM verify_results")}


async def verify_part(connection: Connection, part: Part, cutoff: datetime) -> list[TableDrift]:
    """Compare the rows of a part in one snapshot. Rows before `cutoff` may have expired. Raises errors of asyncpg."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return [
            await compare(
                connection,
                rollup,
                cutoff,
                rows=part.rows[rollup.table],
                events=f"(SELECT * FROM {RAW_EVENTS} WHERE {part.events[rollup.table]})",
            )
            for rollup in part.rollups
        ]


def _name_of(day: date) -> str:
    return f"day {day}"


def _day_column(rollup: Rollup) -> str | None:
    return next((name for name in ("activity_date", "hour", "bucket_start") if name in rollup.key), None)


_OF_DAYS: Final = tuple(rollup for rollup in ROLLUPS if _day_column(rollup))
_OF_LEARNERS: Final = tuple(rollup for rollup in ROLLUPS if not _day_column(rollup))


def _occurred(begin: datetime, end: datetime) -> str:
    return f"occurred_at >= '{begin}' AND occurred_at < '{end}'"


def _by_table(drifts: Iterable[TableDrift]) -> list[TableDrift]:
    sums: dict[str, TableDrift] = {}
    for drift in drifts:
        known = sums.get(drift.table, TableDrift(drift.table, 0, 0, 0))
        sums[drift.table] = TableDrift(
            drift.table, known.rows + drift.rows, known.missing + drift.missing, known.unexpected + drift.unexpected
        )
    return [sums[rollup.table] for rollup in ROLLUPS if rollup.table in sums]


_READ: Final = "SELECT part, min(verified_at) AS at, sum(drift_rows)::bigint AS drift FROM verified_parts GROUP BY part"

_WRITE: Final = """
INSERT INTO verified_parts (part, table_name, drift_rows) VALUES ($1, $2, $3)
ON CONFLICT (part, table_name) DO UPDATE SET drift_rows = EXCLUDED.drift_rows, verified_at = EXCLUDED.verified_at
"""

_SUM: Final = """
INSERT INTO verify_results (table_name, drift_rows)
SELECT table_name, sum(drift_rows)::bigint FROM verified_parts GROUP BY table_name
ON CONFLICT (table_name) DO UPDATE SET drift_rows = EXCLUDED.drift_rows
"""

_SUCCEED: Final = """
WITH forgotten AS (DELETE FROM verified_parts WHERE part LIKE 'day %' AND part < $2)
INSERT INTO verify_results (table_name, drift_rows, last_success_at) SELECT unnest($1::text[]), 0, now()
ON CONFLICT (table_name) DO UPDATE SET last_success_at = EXCLUDED.last_success_at
"""


async def _read_verified(pool: asyncpg.Pool) -> dict[str, Verified]:
    return {row["part"]: Verified(row["at"], row["drift"]) for row in await pool.fetch(_READ)}


async def _record(connection: Connection, part: Part, drifts: Sequence[TableDrift]) -> None:
    async with connection.transaction():
        await connection.executemany(
            _WRITE, [(part.name, drift.table, drift.missing + drift.unexpected) for drift in drifts]
        )
        await connection.execute(_SUM)
