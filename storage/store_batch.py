"""What the database does with a batch, as one function of the session: one round trip where there were fifteen.

    staged_events -> drop entries that are settled already -> drop those of erased learners -> drop what retention may
    have removed -> insert what is new, drop the rest -> roll up what is left -> settle duplicates

So the database works on while the worker reads and decodes the next batch. The function and its tables are temporary:
they come and go with a connection, and always belong to the release that runs.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.identifiers import RESERVED_FLOOR
from schemas.stream_entry import WireEvent
from storage.rollups import ROLLUPS, Rollup

COLUMNS: Final = (*WireEvent._fields, "stream_partition", "entry_id")
"""Of an event, in the order a batch gives them."""

BATCH_LOCK: Final = 7_205_759_403_792_793_602
"""Advisory lock: shared by every batch, exclusive for whoever recomputes aggregates."""

LOCK: Final = f"""
SELECT to_regprocedure('pg_temp.store_batch(smallint, text[])') IS NOT NULL
FROM pg_advisory_xact_lock_shared({BATCH_LOCK})
"""
"""Takes the lock, and says whether this session has the function."""

STORE: Final = "SELECT stored, duplicate, suppressed, refused FROM pg_temp.store_batch($1, $2)"
"""Stores what is staged; gives one `Stored`. `$1`: the writer's slot, `$2`: types of events, all that are among it."""


class Stored(NamedTuple):
    """What became of the staged entries; what is missing was settled by an earlier transaction."""

    stored: int
    duplicate: int
    suppressed: int
    refused: list[str]
    """Entries whose events lie before the horizon of retention: neither stored nor settled."""


_COLUMN_LIST: Final = ", ".join(COLUMNS)

# With defaults, so that a column the next release adds does not stop this one.
_TABLES: Final = """
CREATE TEMP TABLE staged_events (LIKE analytics_events INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE repeated_events (event_id uuid, stream_partition smallint, entry_id text) ON COMMIT DELETE ROWS;
"""

# An entry keeps the fate it has, also when retention has removed the event it stored. Nearly no batch holds one, so
# that one look at the range of its ids is enough.
_SETTLED_BEFORE: Final = """
SELECT entry_id FROM settled_entries
WHERE stream_partition = partition_of_batch AND entry_id BETWEEN first_entry AND last_entry
UNION ALL
SELECT entry_id FROM dead_letters
WHERE stream_partition = partition_of_batch AND entry_id BETWEEN first_entry AND last_entry
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
    RETURNING event_id, stream_partition, entry_id
), noted AS (
    INSERT INTO repeated_events SELECT event_id, stream_partition, entry_id FROM repeated RETURNING 1
)
SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM noted)
"""
"""Puts what is new into the table, and leaves no more than that in the stage, where an entry is once at most."""

# An entry that was not inserted repeats another entry's event (a duplicate) or is the entry that stored it (a
# redelivery). Looked up one by one, as above.
_SETTLE_DUPLICATES: Final = """
INSERT INTO settled_entries (stream_partition, entry_id, outcome)
SELECT DISTINCT repeated.stream_partition, repeated.entry_id, 'duplicate'
FROM repeated_events AS repeated
CROSS JOIN LATERAL (
    SELECT stream_partition, entry_id FROM analytics_events WHERE event_id = repeated.event_id LIMIT 1
) AS earlier
WHERE (earlier.stream_partition, earlier.entry_id) <> (repeated.stream_partition, repeated.entry_id)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""


def prepare(insert: str = INSERT) -> str:
    """Return the statements that give a session its tables and the function."""
    rolled_up = "\n".join(map(_roll_up, ROLLUPS))
    return f"""{_TABLES}
CREATE FUNCTION pg_temp.store_batch(
    writer_slot smallint, event_types text[],
    OUT stored bigint, OUT duplicate bigint, OUT suppressed bigint, OUT refused text[]
) LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    repeated_entries bigint;
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
    SELECT analytics_uuid_floor(horizon.ordered_before), horizon.mapped_before
    INTO ordered_floor, mapped_before FROM retention_horizon AS horizon;
    IF EXISTS (SELECT FROM staged_events WHERE event_id < ordered_floor OR event_id >= '{RESERVED_FLOOR}') THEN
        {_REFUSE} INTO duplicate, refused;
    END IF;
    {insert} INTO stored, repeated_entries;
    IF stored > 0 THEN
        {rolled_up}
    END IF;
    IF repeated_entries > 0 THEN
        {_SETTLE_DUPLICATES};
        GET DIAGNOSTICS repeated_entries = ROW_COUNT;
        duplicate := duplicate + repeated_entries;
    END IF;
END
$function$"""


def _roll_up(rollup: Rollup) -> str:
    types = ", ".join(f"'{event_type}'" for event_type in sorted(rollup.event_types))
    return f"IF event_types && ARRAY[{types}] THEN\n{rollup.upsert('staged_events')};\nEND IF;"
