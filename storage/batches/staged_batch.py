"""What the database does with a batch, as one function of the session: one round trip where there were fifteen.

    staged_events -> drop entries that are settled already -> drop those of erased learners -> drop what is stored under
    the id of the release before -> drop what retention may have removed -> insert what is new, drop the rest
    -> roll up what is left -> settle duplicates

So the database works on while the worker reads and decodes the next batch. The function and its tables are temporary:
they come and go with a connection, and always belong to the release that runs.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final, NamedTuple

from schemas.entry import WireEvent
from schemas.identifiers import RESERVED_FLOOR
from storage.batches.rollups import ROLLUPS, Rollup

COLUMNS: Final = (*WireEvent._fields, "stream_partition", "entry_id")
"""Of an event, in the order a batch gives them."""

BATCH_LOCK: Final = 7_205_759_403_792_793_602
"""Advisory lock: shared by every batch, exclusive for whoever recomputes aggregates."""

MAPPING_LOCK: Final = 7_205_759_403_792_793_605
"""Advisory lock of batches with mapped ids while `unscoped_event_ids` has its row.

Exclusive where one of the events may have come from ingest of the release before. Two batches could otherwise store
one event under both of its ids at the same moment, and no unique index would tell.
"""

LOCK: Final = f"""
SELECT to_regprocedure('pg_temp.apply_staged_batch(smallint, text[], text[], uuid[])') IS NOT NULL AS is_prepared,
       EXISTS (SELECT FROM unscoped_event_ids) AS has_unscoped_ids
FROM pg_advisory_xact_lock_shared({BATCH_LOCK})
"""
"""Takes the lock, and says whether this session has the function and whether counterparts of ids are looked for."""

APPLY: Final = """
SELECT stored, duplicate, suppressed, refused, conflicts FROM pg_temp.apply_staged_batch($1, $2, $3, $4)
"""
"""Stores what is staged; gives one `Applied`. `$1`: the writer's slot, `$2`: types of events, all that are among it,
`$3` and `$4`: entries and the other ids that their events may be stored under."""


class Applied(NamedTuple):
    """What became of the staged entries; what is missing was settled by an earlier transaction."""

    stored: int
    duplicate: int
    suppressed: int
    refused: list[str]
    """Entries whose events lie before the horizon of retention: neither stored nor settled."""
    conflicts: str | None
    """JSON array of what `Conflict` holds, for duplicates of another type or learner; None for none."""


class Conflict(NamedTuple):
    """A duplicate that is another event than the stored one of its id: of another type, or of another pseudonym."""

    source: str
    stored_source: str
    differs_in_type: bool
    first_received: datetime
    """Of the two events."""
    last_received: datetime


_COLUMN_LIST: Final = ", ".join(COLUMNS)

# With defaults, so that a column the next release adds does not stop this one.
_TABLES: Final = """
CREATE TEMP TABLE staged_events (LIKE analytics_events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE repeated_events (
    stored_id uuid, stream_partition smallint, entry_id text, source text, event_type text COLLATE "C", user_hash bytea,
    received_at timestamptz
) ON COMMIT DELETE ROWS;
"""
_REPEATED: Final = "stream_partition, entry_id, source, event_type, user_hash, received_at"
"""Of `repeated_events`: what it takes over from an entry."""

# An entry keeps the fate it has, also when retention has removed the event it stored. Nearly no batch holds one, so
# that one look at the range of its ids is enough.
_SETTLED_BEFORE: Final = """
SELECT entry_id FROM settled_entries
WHERE stream_partition = partition_of_batch AND entry_id BETWEEN first_entry AND last_entry
UNION ALL
SELECT entry_id FROM dead_letters
WHERE stream_partition = partition_of_batch AND entry_id BETWEEN first_entry AND last_entry
"""

_MAY_BE_UNSCOPED: Final = f"""
SELECT FROM staged_events AS staged, unscoped_event_ids AS release_before
WHERE staged.received_at < release_before.until AND staged.event_id >= '{RESERVED_FLOOR}'
"""

# What is stored, or staged before, under the other id of the same source is the same event. Looked up one by one.
_REPEATED_UNDER_OTHER_ID: Final = f"""
WITH other AS (
    SELECT staged.ctid AS place, staged.entry_id, staged.source, given.event_id
    FROM unnest(other_entries, other_ids) AS given (entry_id, event_id) JOIN staged_events AS staged USING (entry_id)
), known AS (
    SELECT other.entry_id, other.event_id FROM other
    CROSS JOIN LATERAL (SELECT source FROM analytics_events WHERE event_id = other.event_id LIMIT 1) AS earlier
    WHERE earlier.source = other.source
    UNION
    SELECT other.entry_id, other.event_id FROM other
    JOIN staged_events AS earlier ON earlier.event_id = other.event_id AND earlier.source = other.source
    WHERE earlier.ctid < other.place
), repeated AS (
    DELETE FROM staged_events AS staged USING known WHERE staged.entry_id = known.entry_id
    RETURNING known.event_id AS stored_id, {", ".join(f"staged.{name}" for name in _REPEATED.split(", "))}
)
INSERT INTO repeated_events (stored_id, {_REPEATED}) SELECT stored_id, {_REPEATED} FROM repeated
"""

# Whoever moves the horizon holds the lock of batches exclusively: what it is here, it is until the commit. What is
# stored still is told by its row. A mapped id says nothing of time, so those of removed events are kept, and a repeat
# is a duplicate; a UUIDv7 before the horizon may be a repeat or new.
_REFUSE: Final = f"""
WITH gone AS (
    DELETE FROM staged_events AS staged
    WHERE (
        event_id < ordered_floor
        OR (event_id >= '{RESERVED_FLOOR}' AND (
            occurred_at < mapped_before
            OR EXISTS (SELECT FROM retired_event_ids AS retired WHERE retired.event_id = staged.event_id)
        ))
    ) AND NOT EXISTS (SELECT FROM analytics_events AS raw WHERE raw.event_id = staged.event_id)
    RETURNING event_id, stream_partition, entry_id
), told_apart AS (
    SELECT gone.*, EXISTS (SELECT FROM retired_event_ids AS retired WHERE retired.event_id = gone.event_id) AS is_repeat
    FROM gone
), settled AS (
    INSERT INTO settled_entries (stream_partition, entry_id, outcome)
    SELECT stream_partition, entry_id, 'duplicate' FROM told_apart WHERE is_repeat ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM settled), ARRAY(SELECT entry_id FROM told_apart WHERE NOT is_repeat)
"""

# An entry that stored its event before the learner was erased is booked already. Looked up one by one, since a plan
# made while the table was small would read all of it for ever.
_SUPPRESS: Final = """
WITH suppressed AS (
    DELETE FROM staged_events USING erased_users
    WHERE staged_events.user_hash = erased_users.user_hash
    RETURNING event_id, stream_partition, entry_id
)
INSERT INTO settled_entries (stream_partition, entry_id, outcome)
SELECT suppressed.stream_partition, suppressed.entry_id, 'suppressed'
FROM suppressed
LEFT JOIN LATERAL (
    SELECT stream_partition, entry_id FROM analytics_events WHERE event_id = suppressed.event_id LIMIT 1
) AS earlier ON true
WHERE (earlier.stream_partition, earlier.entry_id) IS DISTINCT FROM (suppressed.stream_partition, suppressed.entry_id)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""

# Ordered by key, so that two workers with the same redelivered entries cannot deadlock; of several with one key the
# first in the stream is stored, and rows are staged in that order (as texts, the ids of entries have another one).
# NOT IN, since that is hashed whatever the size of the first batch, for which this is planned.
INSERT: Final = f"""
WITH inserted AS (
    INSERT INTO analytics_events ({_COLUMN_LIST})
    SELECT {_COLUMN_LIST} FROM staged_events ORDER BY event_id, ctid
    ON CONFLICT (event_id) DO NOTHING
    RETURNING entry_id
), repeated AS (
    DELETE FROM staged_events WHERE entry_id NOT IN (SELECT entry_id FROM inserted)
    RETURNING event_id, {_REPEATED}
), noted AS (
    INSERT INTO repeated_events (stored_id, {_REPEATED}) SELECT event_id, {_REPEATED} FROM repeated RETURNING 1
)
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM noted)
"""
"""Puts what is new into the table, and leaves no more than that in the stage, where an entry is once at most."""

# An entry that was not inserted repeats another entry's event (a duplicate) or is the entry that stored it (a
# redelivery). Looked up one by one, as above. Only a duplicate that was not settled before is told as a conflict.
_SETTLE_DUPLICATES: Final = """
WITH repeats AS (
    SELECT repeated.*, earlier.source AS stored_source, earlier.received_at AS stored_at,
           repeated.event_type <> earlier.event_type AS differs_in_type,
           repeated.user_hash IS DISTINCT FROM earlier.user_hash AS differs_in_learner
    FROM repeated_events AS repeated
    LEFT JOIN LATERAL (
        SELECT stream_partition, entry_id, source, event_type, user_hash, received_at
        FROM analytics_events WHERE event_id = repeated.stored_id LIMIT 1
    ) AS earlier ON true
    WHERE (earlier.stream_partition, earlier.entry_id) IS DISTINCT FROM (repeated.stream_partition, repeated.entry_id)
), settled AS (
    INSERT INTO settled_entries (stream_partition, entry_id, outcome)
    SELECT stream_partition, entry_id, 'duplicate' FROM repeats ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING stream_partition, entry_id
)
SELECT count(*),
       json_agg(json_build_array(
           source, stored_source, differs_in_type,
           least(stored_at, received_at) AT TIME ZONE 'UTC', greatest(stored_at, received_at) AT TIME ZONE 'UTC'
       )) FILTER (WHERE stored_at IS NOT NULL AND (differs_in_type OR differs_in_learner))
FROM settled JOIN repeats USING (stream_partition, entry_id)
"""


def read_conflicts(told: str | None) -> list[Conflict]:
    """Return what `Applied.conflicts` says."""
    return [
        Conflict(source, stored_source, differs, _in_utc(first), _in_utc(last))
        for source, stored_source, differs, first, last in json.loads(told or "[]")
    ]


def _in_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def prepare(insert: str = INSERT) -> str:
    """Return the statements that give a session its tables and the function."""
    rolled_up = "\n".join(map(_roll_up, ROLLUPS))
    return f"""{_TABLES}
CREATE FUNCTION pg_temp.apply_staged_batch(
    writer_slot smallint, event_types text[], other_entries text[], other_ids uuid[],
    OUT stored bigint, OUT duplicate bigint, OUT suppressed bigint, OUT refused text[], OUT conflicts text
) LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    repeated_entries bigint;
    under_other_id bigint := 0;
    partition_of_batch smallint;
    first_entry text COLLATE "C";
    last_entry text COLLATE "C";
    ordered_floor uuid;
    mapped_before timestamptz;
BEGIN
    duplicate := 0;
    refused := '{{}}';
    SELECT min(stream_partition), min(entry_id), max(entry_id)
    INTO partition_of_batch, first_entry, last_entry FROM staged_events;
    IF EXISTS ({_SETTLED_BEFORE}) THEN
        DELETE FROM staged_events USING ({_SETTLED_BEFORE}) AS before WHERE staged_events.entry_id = before.entry_id;
    END IF;
    {_SUPPRESS};
    GET DIAGNOSTICS suppressed = ROW_COUNT;
    IF cardinality(other_entries) > 0 THEN
        IF EXISTS ({_MAY_BE_UNSCOPED}) THEN
            PERFORM pg_advisory_xact_lock({MAPPING_LOCK});
        ELSE
            PERFORM pg_advisory_xact_lock_shared({MAPPING_LOCK});
        END IF;
        {_REPEATED_UNDER_OTHER_ID};
        GET DIAGNOSTICS under_other_id = ROW_COUNT;
    END IF;
    SELECT analytics_uuid_floor(horizon.ordered_before), horizon.mapped_before
    INTO ordered_floor, mapped_before FROM retention_horizon AS horizon;
    IF EXISTS (SELECT FROM staged_events WHERE event_id < ordered_floor OR event_id >= '{RESERVED_FLOOR}') THEN
        {_REFUSE} INTO duplicate, refused;
    END IF;
    {insert} INTO stored, repeated_entries;
    IF stored > 0 THEN
        {rolled_up}
    END IF;
    IF repeated_entries + under_other_id > 0 THEN
        {_SETTLE_DUPLICATES} INTO repeated_entries, conflicts;
        duplicate := duplicate + repeated_entries;
    END IF;
END
$function$"""


def _roll_up(rollup: Rollup) -> str:
    types = ", ".join(f"'{event_type}'" for event_type in sorted(rollup.event_types))
    return f"IF event_types && ARRAY[{types}] THEN\n{rollup.upsert('staged_events')};\nEND IF;"
