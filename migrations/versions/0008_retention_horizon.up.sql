CREATE TABLE retention_horizon (
    only_row        boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    ordered_before  timestamptz NOT NULL,
    mapped_before   timestamptz NOT NULL
);
COMMENT ON TABLE retention_horizon IS 'Up to where raw events were ever removed; never goes back. One row';
COMMENT ON COLUMN retention_horizon.ordered_before IS
    'End of the last weekly partition that was emptied: a UUIDv7 of an earlier moment is not accepted as new';
COMMENT ON COLUMN retention_horizon.mapped_before IS
    'Events with mapped ids that occurred earlier may have been removed before retired_event_ids existed: not accepted as new';

CREATE TABLE retired_event_ids (event_id uuid PRIMARY KEY);
COMMENT ON TABLE retired_event_ids IS
    'Mapped ids of removed raw events. They carry no time, so that no horizon can tell a repeat from a new event';

-- A database that has removed events before: the contributions in `retired` say when the latest of them occurred.
-- Erasure adds to the hourly counts too, with recent hours. Retention never removes what is younger than a day, nor a
-- week that ended less than 15 days ago (its least setting, and the grace of partitions), so that is the upper bound.
INSERT INTO retention_horizon (ordered_before, mapped_before)
SELECT CASE WHEN latest IS NULL THEN 'epoch'::timestamptz ELSE greatest(
           -- weeks below the oldest partition are gone
           (SELECT min(to_date(right(relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC')
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'analytics_events'::regclass AND relname ~ '^analytics_events_\d{8}$'),
           least(date_trunc('week', latest, 'UTC') + interval '7 days', date_trunc('week', now() - interval '15 days', 'UTC'))
       ) END,
       CASE WHEN latest IS NULL THEN 'epoch'::timestamptz ELSE
           -- an event may occur ten minutes after it was received, by its sender's clock
           least(latest + interval '1 microsecond', now() - interval '1 day' + interval '10 minutes')
       END
FROM (
    SELECT greatest(
        (SELECT max(last_event_at) FROM retired.gamification_stats),
        (SELECT max(hour) + interval '1 hour' FROM retired.hourly_event_counts
         WHERE event_type IN ('api_request', 'api_error'))
    ) AS latest
) AS removed;

-- An entry that the stream still has may be delivered or replayed again after its event was removed.
ALTER TABLE stream_positions ADD COLUMN first_entry_id text COLLATE "C";
COMMENT ON COLUMN stream_positions.first_entry_id IS 'Oldest entry the stream still has; NULL while that is not known';

ALTER TABLE settled_entries DROP CONSTRAINT settled_entries_outcome_check;
ALTER TABLE settled_entries ADD CONSTRAINT settled_entries_outcome_check
    CHECK (outcome IN ('duplicate', 'suppressed', 'retired', 'dropped'));

GRANT SELECT ON retention_horizon, retired_event_ids TO analytics_writer;
GRANT SELECT, UPDATE ON retention_horizon TO analytics_maintenance;
GRANT SELECT, INSERT ON retired_event_ids TO analytics_maintenance;
