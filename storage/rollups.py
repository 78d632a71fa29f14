"""Every aggregate, declared once: the SQL over "a relation of events", and how its columns merge.

The worker runs a rollup over the rows of a batch, `rebuild` and `verify` over all raw rows: what is counted as events
come in and what is recomputed is the same by construction. Every merge is exact and commutative (sums of integers,
least, greatest, the union of ranges, the value at the first or last event), so the order of batches does not matter.
What is summed is cast to integer first: a value too large is refused with its own event, and no sum of 64 bits
overflows for a neighbour's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from schemas.event_types import EventType

_SQL = Path(__file__).parent / "sql" / "rollups"
RAW_EVENTS: Final = "analytics_events"
RETIRED: Final = "retired"

SESSION_RESOLUTION: Final = timedelta(minutes=5)
"""Length of the range from each event on; `learning_sessions.activity` is the union of these ranges.

The length of every gap between events that is longer follows from it exactly. Ranges are stored: never change it.
"""


class Merge(Protocol):
    """How two values of a column become one."""

    def upsert(self, column: str) -> str:
        """Return the SQL that merges a row `t` that is there with a row `EXCLUDED` that comes."""

    def aggregate(self, column: str) -> str:
        """Return the SQL that merges the rows of a group."""


@dataclass(frozen=True)
class Add:
    """The sum."""

    def upsert(self, column: str) -> str:
        return f"t.{column} + EXCLUDED.{column}"

    def aggregate(self, column: str) -> str:
        return f"sum({column})::bigint"


@dataclass(frozen=True)
class Least:
    """The smallest value that is known."""

    def upsert(self, column: str) -> str:
        return f"LEAST(t.{column}, EXCLUDED.{column})"

    def aggregate(self, column: str) -> str:
        return f"min({column})"


@dataclass(frozen=True)
class Greatest:
    """The greatest value that is known."""

    def upsert(self, column: str) -> str:
        return f"GREATEST(t.{column}, EXCLUDED.{column})"

    def aggregate(self, column: str) -> str:
        return f"max({column})"


@dataclass(frozen=True)
class Union:
    """The union of ranges, in a multirange."""

    def upsert(self, column: str) -> str:
        return f"t.{column} + EXCLUDED.{column}"

    def aggregate(self, column: str) -> str:
        return f"range_agg({column})"


@dataclass(frozen=True)
class AtFirst:
    """The value at the earliest event: `time`, ties broken by `event_id`. Both columns merge so themselves."""

    time: str
    event_id: str

    def upsert(self, column: str) -> str:
        return (
            f"CASE WHEN t.{self.time} IS NULL OR (EXCLUDED.{self.time}, EXCLUDED.{self.event_id})"
            f" < (t.{self.time}, t.{self.event_id}) THEN EXCLUDED.{column} ELSE t.{column} END"
        )

    def aggregate(self, column: str) -> str:
        return f"(array_agg({column} ORDER BY {self.time} NULLS LAST, {self.event_id}))[1]"


@dataclass(frozen=True)
class AtLast:
    """The value at the latest event: `time`, ties broken by `event_id`. Both columns merge so themselves."""

    time: str
    event_id: str

    def upsert(self, column: str) -> str:
        return (
            f"CASE WHEN t.{self.time} IS NULL OR (EXCLUDED.{self.time}, EXCLUDED.{self.event_id})"
            f" > (t.{self.time}, t.{self.event_id}) THEN EXCLUDED.{column} ELSE t.{column} END"
        )

    def aggregate(self, column: str) -> str:
        return f"(array_agg({column} ORDER BY {self.time} DESC NULLS LAST, {self.event_id} DESC))[1]"


@dataclass(frozen=True)
class Rollup:
    """One aggregate table, fed by `sql/rollups/<table>.sql`."""

    table: str
    key: tuple[str, ...]
    merges: Mapping[str, Merge]
    """Every column that is not of the key, in the table's order."""
    event_types: frozenset[str]
    """Types that can touch the table; a batch without any of them skips it."""
    slotted: bool = False
    """Hot rows have one copy per writer, summed when read."""
    expires: str | None = None
    """The time column by which rows older than the system metrics retention are removed."""
    select: str = field(init=False)

    def __post_init__(self) -> None:
        text = (_SQL / f"{self.table}.sql").read_text(encoding="utf-8")
        object.__setattr__(self, "select", text)

    @property
    def is_of_learners(self) -> bool:
        """Whether each row is about one learner."""
        return "user_hash" in self.key

    @property
    def columns(self) -> tuple[str, ...]:
        """Key and merged columns, without the slot."""
        return (*self.key, *self.merges)

    def over(self, events: str) -> str:
        """Return the query that aggregates the relation `events`."""
        resolution = f"interval '{SESSION_RESOLUTION.total_seconds():.0f} seconds'"
        return self.select.format(events=events, session_resolution=resolution)

    def upsert(self, events: str, *, schema: str = "public") -> str:
        """Return the statement that adds the relation `events` to the table; `$1` is the slot when there are slots.

        Rows are locked in the order of the key, so that concurrent writers cannot deadlock.
        """
        columns = ", ".join(self.columns)
        key = ", ".join(self.key)
        merges = ", ".join(f"{name} = {merge.upsert(name)}" for name, merge in self.merges.items())
        slot, slot_value = (", slot", ", $1::smallint") if self.slotted else ("", "")
        return (
            f"INSERT INTO {schema}.{self.table} AS t ({columns}{slot})\n"
            f"SELECT {columns}{slot_value} FROM (\n{self.over(events)}) AS fresh ORDER BY {key}\n"
            f"ON CONFLICT ({key}{slot}) DO UPDATE SET {merges}"
        )

    def merged(self, relation: str) -> str:
        """Return the query that merges the rows of `relation` by key, whatever their slots."""
        key = ", ".join(self.key)
        values = ", ".join(f"{merge.aggregate(name)} AS {name}" for name, merge in self.merges.items())
        return f"SELECT {key}, {values} FROM {relation} AS parts GROUP BY {key}"

    def recomputed(self, events: str = RAW_EVENTS) -> str:
        """Return the query of what the table must hold: what retention removed, merged with all of `events`."""
        columns = ", ".join(self.columns)
        return self.merged(
            f"(SELECT {columns} FROM {RETIRED}.{self.table}"
            f" UNION ALL SELECT {columns} FROM (\n{self.over(events)}) AS raw)"
        )


_LEARNER_EVENTS = frozenset(kind.value for kind in EventType if kind.is_learner_event)
_ALL_EVENTS = frozenset(kind.value for kind in EventType)
_START = AtFirst("started_at", "start_event_id")
_EARNED = AtFirst("earned_at", "earn_event_id")
_STREAK = AtLast("streak_reported_at", "streak_event_id")
_REPORTED = AtLast("duration_reported_at", "duration_event_id")

# Every writer takes its locks in this order; the rows all writers share come last.
ROLLUPS: Final[tuple[Rollup, ...]] = (
    Rollup(
        table="learning_sessions",
        key=("user_hash", "session_id"),
        merges={
            "started_at": _START,
            "start_event_id": _START,
            "activity_date": _START,
            "last_event_at": Greatest(),
            "ended_at": Greatest(),
            "reported_duration_ms": Greatest(),
            "event_count": Add(),
            "activity": Union(),
            "reported_duration_us": _REPORTED,
            "duration_reported_at": _REPORTED,
            "duration_event_id": _REPORTED,
        },
        event_types=_LEARNER_EVENTS,
    ),
    Rollup(
        table="gamification_stats",
        key=("user_hash",),
        merges={
            "total_xp": Add(),
            "highest_level": Greatest(),
            "reported_streak_days": _STREAK,
            "streak_reported_at": _STREAK,
            "streak_event_id": _STREAK,
            "event_count": Add(),
            "first_event_at": Least(),
            "last_event_at": Greatest(),
        },
        event_types=_LEARNER_EVENTS,
    ),
    Rollup(
        table="learner_achievements",
        key=("user_hash", "achievement_id"),
        merges={
            "earned_at": _EARNED,
            "earn_event_id": _EARNED,
            "activity_date": _EARNED,
            "name": _EARNED,
            "times_earned": Add(),
        },
        event_types=frozenset({EventType.ACHIEVEMENT_EARNED.value}),
    ),
    Rollup(
        table="learner_materials",
        key=("user_hash", "material_id"),
        merges={
            "views": Add(),
            "completions": Add(),
            "last_viewed_date": Greatest(),
            "last_completed_date": Greatest(),
        },
        event_types=frozenset({EventType.MATERIAL_VIEW.value, EventType.MATERIAL_COMPLETE.value}),
    ),
    Rollup(
        table="daily_activity_summary",
        key=("user_hash", "activity_date"),
        merges={
            "activity_count": Add(),
            "materials_viewed": Add(),
            "materials_completed": Add(),
            "xp_earned": Add(),
            "ai_messages": Add(),
            "searches": Add(),
        },
        event_types=_LEARNER_EVENTS,
    ),
    Rollup(
        table="ai_coach_metrics",
        key=("user_hash", "activity_date"),
        merges={
            "messages_sent": Add(),
            "messages_received": Add(),
            "message_length_sum": Add(),
            "response_time_ms_sum": Add(),
            "response_time_ms_max": Greatest(),
            "tokens_sum": Add(),
            "ratings_count": Add(),
            "ratings_sum": Add(),
        },
        event_types=frozenset(
            {
                EventType.AI_MESSAGE_SENT.value,
                EventType.AI_MESSAGE_RECEIVED.value,
                EventType.AI_FEEDBACK_RATED.value,
            }
        ),
    ),
    Rollup(
        table="active_users_hourly",
        key=("hour", "user_hash"),
        merges={"first_event_at": Least(), "last_event_at": Greatest()},
        event_types=_ALL_EVENTS,
        expires="hour",
    ),
    Rollup(
        table="hourly_event_counts",
        key=("hour", "event_type"),
        merges={"events": Add(), "xp": Add()},
        event_types=_ALL_EVENTS,
        slotted=True,
    ),
    Rollup(
        table="system_errors",
        key=("bucket_start", "endpoint", "error_type"),
        merges={"errors": Add()},
        event_types=frozenset({EventType.API_ERROR.value}),
        slotted=True,
        expires="bucket_start",
    ),
    Rollup(
        table="system_metrics",
        key=("bucket_start", "endpoint", "latency_bucket"),
        merges={"requests": Add(), "client_errors": Add(), "server_errors": Add()},
        event_types=frozenset({EventType.API_REQUEST.value}),
        slotted=True,
        expires="bucket_start",
    ),
)
