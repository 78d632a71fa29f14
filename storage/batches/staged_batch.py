"""Applies a staged batch in the database, in one temporary function: one round trip instead of fifteen.

    staged_events -> drop entries that are already settled -> drop events of erased learners -> drop events that are
    stored under the id of the previous release -> drop events that retention may have removed -> insert new events,
    drop the others -> update the rollups with the inserted events -> settle duplicates

The database continues while the worker reads and decodes the next batch. The function and its tables belong to one
connection, so they always match the running release.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final, NamedTuple

from schemas.entry import WireEvent
from schemas.identifiers import RESERVED_FLOOR
from storage.batches.rollups import ROLLUPS, Rollup
from storage.database.locks import BATCH_LOCK, MAPPING_LOCK

COLUMNS: Final = (*WireEvent._fields, "stream_partition", "entry_id")
"""Columns of a staged event, in the order of COPY."""

LOCK: Final = f"""
SELECT to_regprocedure('pg_temp.apply_staged_batch(smallint, text[], text[], uuid[])') IS NOT NULL AS is_prepared,
       EXISTS (SELECT FROM unscoped_event_ids) AS has_unscoped_ids
FROM pg_advisory_xact_lock_shared({BATCH_LOCK})
"""
"""Takes the batch lock. Returns whether this session has the function, and whether to look for counterparts of ids."""

APPLY: Final = """
SELECT stored, duplicate, suppressed, refused, conflicts FROM pg_temp.apply_staged_batch($1, $2, $3, $4)
"""
"""Stores the staged events; returns one `Applied`. `$1`: the writer's slot. `$2`: every event type in the batch.
`$3` and `$4`: entries, and the other id that the event of each may be stored under."""


class Applied(NamedTuple):
    """The number of staged entries by fate. Entries in none of them were settled by an earlier transaction."""

    stored: int
    duplicate: int
    suppressed: int
    refused: list[str]
    """Entries whose events precede the retention horizon. They are neither stored nor settled."""
    conflicts: str | None
    """JSON array of the fields of `Conflict`, one element per conflict; None if there is none."""


class Conflict(NamedTuple):
    """A duplicate that differs from the stored event with its id: in the type, or in the pseudonym."""

    source: str
    stored_source: str
    differs_in_type: bool
    first_received: datetime
    """Earlier receipt time of the two events."""
    last_received: datetime
    """Later receipt time of the two events."""


_COLUMN_LIST: Final = ", ".join(COLUMNS)

# with defaults, so that this release still works after the next release has added a column
_TABLES: Final = """
CREATE TEMP TABLE staged_events (LIKE analytics_events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE repeated_events (
    stored_id uuid, stream_partition smallint, entry_id text, source text, event_type text COLLATE "C", user_hash bytea,
    received_at timestamptz
) ON COMMIT DELETE ROWS;
"""
_REPEATED: Final = "stream_partition, entry_id, source, event_type, user_hash, received_at"
"""Columns that `repeated_events` copies from an entry."""

# An entry keeps its fate, even after retention has removed its event. Almost no batch holds a settled entry, so one
# look-up of the range of ids suffices for most.
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

# An event that is stored, or staged earlier, under the other id with the same source is the same event. Each is looked
# up separately.
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

# The horizon cannot move before the commit: moving it needs the exclusive batch lock. An event before it is never
# inserted, even if its row is still stored: retention may be removing the row. A stored one is recognised by its row.
# Mapped ids carry no time, so the ids of removed events are kept, and a repeat is a duplicate. A UUIDv7 before the
# horizon that is not stored may be a repeat or new.
_REFUSE: Final = f"""
WITH gone AS (
    DELETE FROM staged_events AS staged
    WHERE event_id < ordered_floor
    OR (event_id >= '{RESERVED_FLOOR}' AND (
        occurred_at < mapped_before
        OR EXISTS (SELECT FROM retired_event_ids AS retired WHERE retired.event_id = staged.event_id)
    ))
    RETURNING event_id, {_REPEATED}
), classified AS (
    SELECT gone.*, stored.event_id IS NOT NULL AS is_stored,
           EXISTS (SELECT FROM retired_event_ids AS retired WHERE retired.event_id = gone.event_id) AS is_retired
    FROM gone
    LEFT JOIN LATERAL (SELECT event_id FROM analytics_events WHERE event_id = gone.event_id LIMIT 1) AS stored ON true
), noted AS (
    INSERT INTO repeated_events (stored_id, {_REPEATED}) SELECT event_id, {_REPEATED} FROM classified WHERE is_stored
    RETURNING 1
), settled AS (
    INSERT INTO settled_entries (stream_partition, entry_id, outcome)
    SELECT stream_partition, entry_id, 'duplicate' FROM classified WHERE is_retired AND NOT is_stored ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM settled), ARRAY(SELECT entry_id FROM classified WHERE NOT is_stored AND NOT is_retired),
       (SELECT count(*) FROM noted)
"""

# An entry that stored its event before the learner was erased is already booked. Each is looked up separately: a plan
# made while the table was small would always read the whole table.
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

# Ordered by key, so that two workers with the same redelivered entries cannot deadlock. Of several events with one key,
# the first in the stream is stored; ctid has the order of staging, which is that of the stream (the text order of entry
# ids is not). NOT IN, because it is hashed whatever the size of the first batch, for which the statement is planned.
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
"""Inserts new events. Leaves only those in the stage. The stage holds each entry at most once."""

# An entry that was not inserted repeats the event of another entry (a duplicate), or is the entry that stored it (a
# redelivery). Each is looked up separately, as above. Only a duplicate that was not settled before is reported as a
# conflict.
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


def parse_conflicts(document: str | None) -> list[Conflict]:
    """Return the conflicts of `Applied.conflicts`."""
    return [
        Conflict(source, stored_source, differs, _in_utc(first), _in_utc(last))
        for source, stored_source, differs, first, last in json.loads(document or "[]")
    ]


def _in_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def prepare(insert: str = INSERT) -> str:
    """Return the statements that create the temporary tables and the function in a session.

    A plan that is made while a partition is empty would read that partition from end to end, for each look-up, until it
    is analyzed again. So the function plans without sequential scans.
    """
    rolled_up = "\n".join(map(_roll_up, ROLLUPS))
    return f"""{_TABLES}
CREATE FUNCTION pg_temp.apply_staged_batch(
    writer_slot smallint, event_types text[], other_entries text[], other_ids uuid[],
    OUT stored bigint, OUT duplicate bigint, OUT suppressed bigint, OUT refused text[], OUT conflicts text
) LANGUAGE plpgsql SET enable_seqscan = off AS $function$
#variable_conflict use_column
DECLARE
    repeated_entries bigint;
    under_other_id bigint := 0;
    before_horizon bigint := 0;
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
        {_REFUSE} INTO duplicate, refused, before_horizon;
    END IF;
    {insert} INTO stored, repeated_entries;
    IF stored > 0 THEN
        {rolled_up}
    END IF;
    IF repeated_entries + under_other_id + before_horizon > 0 THEN
        {_SETTLE_DUPLICATES} INTO repeated_entries, conflicts;
        duplicate := duplicate + repeated_entries;
    END IF;
END
$function$"""


def _roll_up(rollup: Rollup) -> str:
    types = ", ".join(f"'{event_type}'" for event_type in sorted(rollup.event_types))
    return f"IF event_types && ARRAY[{types}] THEN\n{rollup.upsert('staged_events')};\nEND IF;"
