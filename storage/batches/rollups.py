"""Every aggregate, declared once: the SQL over "a relation of events", and how its columns merge.

The worker runs a rollup over the rows of a batch, `rebuild` and `verify` run it over all raw rows. So counting events
as they arrive and recomputing them give the same result by construction. Every merge is exact and commutative (integer
sums, least, greatest, the union of ranges, the value at the first or last event): the order of batches does not
matter. Values are cast to integer before they are summed. A value too large is refused with its own event, and no
64-bit sum overflows because of another event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from schemas.catalogue import CATALOGUE, COUNTERS, LEARNER_EVENTS, EventType
from storage.batches.catalogue_sql import COUNTS, XP, type_condition

_SQL = Path(__file__).parent / "sql"
RAW_EVENTS: Final = "analytics_events"
RETIRED: Final = "retired"

SESSION_RESOLUTION: Final = timedelta(minutes=5)
"""Length of the range that starts at each event; `learning_sessions.activity` is the union of these ranges.

Every longer gap between events follows exactly from the union. Stored ranges depend on the value: never change it.
"""


class Merge(Protocol):
    """How a column merges two values."""

    def upsert(self, column: str) -> str:
        """Return the SQL that merges the stored row `t` with the new row `EXCLUDED`."""

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
    """The smallest value that is not null."""

    def upsert(self, column: str) -> str:
        return f"LEAST(t.{column}, EXCLUDED.{column})"

    def aggregate(self, column: str) -> str:
        return f"min({column})"


@dataclass(frozen=True)
class Greatest:
    """The greatest value that is not null."""

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
    """The value at the earliest event, by `time` then `event_id`. Both columns must merge the same way."""

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
    """The value at the latest event, by `time` then `event_id`. Both columns must merge the same way."""

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
    """One aggregate table and its query, `sql/rollups/<table>.sql`."""

    table: str
    key: tuple[str, ...]
    merges: Mapping[str, Merge]
    """Every column that is not in the key."""
    event_types: frozenset[str]
    """Types that the query reads, by its `{type_condition}`. A batch without any of them skips the table."""
    slotted: bool = False
    """Whether each writer has its own copy of every row. Readers merge the copies."""
    expires: str | None = None
    """Time column by which rows past the system metrics retention are removed; None keeps them."""
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
        return self.select.format(
            events=events,
            type_condition=type_condition(self.event_types),
            xp=XP,
            counts=COUNTS,
            session_resolution=resolution,
        )

    def upsert(self, events: str, *, schema: str = "public") -> str:
        """Return the statement that adds the relation `events` to the table. `$1` is the slot of a slotted table.

        It locks rows in the order of the key, so concurrent writers cannot deadlock.
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
        """Return the query that merges the rows of `relation` by key, across slots."""
        key = ", ".join(self.key)
        values = ", ".join(f"{merge.aggregate(name)} AS {name}" for name, merge in self.merges.items())
        return f"SELECT {key}, {values} FROM {relation} AS parts GROUP BY {key}"

    def recomputed(self, events: str = RAW_EVENTS) -> str:
        """Return the query of the correct content: what retention removed, merged with all of `events`."""
        columns = ", ".join(self.columns)
        return self.merged(
            f"(SELECT {columns} FROM {RETIRED}.{self.table}"
            f" UNION ALL SELECT {columns} FROM (\n{self.over(events)}) AS raw)"
        )


_ALL_EVENTS = frozenset(CATALOGUE)
_START = AtFirst("started_at", "start_event_id")
_EARNED = AtFirst("earned_at", "earn_event_id")
_STREAK = AtLast("streak_reported_at", "streak_event_id")
_REPORTED = AtLast("duration_reported_at", "duration_event_id")

# every writer locks tables in this order; rows that all writers share come last
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
        event_types=LEARNER_EVENTS,
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
        event_types=LEARNER_EVENTS,
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
        event_types=frozenset({EventType.ACHIEVEMENT_EARNED}),
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
        event_types=frozenset({EventType.MATERIAL_VIEW, EventType.MATERIAL_COMPLETE}),
    ),
    Rollup(
        table="daily_activity_summary",
        key=("user_hash", "activity_date"),
        merges={
            "activity_count": Add(),
            "xp_earned": Add(),
            **dict.fromkeys(COUNTERS, Add()),
        },
        event_types=LEARNER_EVENTS,
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
        event_types=frozenset({EventType.AI_MESSAGE_SENT, EventType.AI_MESSAGE_RECEIVED, EventType.AI_FEEDBACK_RATED}),
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
        event_types=frozenset({EventType.API_ERROR}),
        slotted=True,
        expires="bucket_start",
    ),
    Rollup(
        table="system_metrics",
        key=("bucket_start", "endpoint", "latency_bucket"),
        merges={"requests": Add(), "client_errors": Add(), "server_errors": Add()},
        event_types=frozenset({EventType.API_REQUEST}),
        slotted=True,
        expires="bucket_start",
    ),
)
