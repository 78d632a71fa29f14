-- Terms of leadership. Maintenance of the release before does not read this: it needs the lock alone.
CREATE TABLE maintenance_epoch (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint      NOT NULL,
    began_at timestamptz NOT NULL
);
COMMENT ON TABLE maintenance_epoch IS 'The current term of leadership. One row';
COMMENT ON COLUMN maintenance_epoch.epoch IS 'Number of the term; a process whose term has another number may not write';
INSERT INTO maintenance_epoch (epoch, began_at) VALUES (0, now());

GRANT SELECT, UPDATE ON maintenance_epoch TO analytics_maintenance;

-- Without it, maintenance cannot see the transactions of other logins. Who migrates may lack the right to give it away.
DO $$
BEGIN
    GRANT pg_read_all_stats TO analytics_maintenance;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'analytics_maintenance may not read all statistics: the age of the oldest transaction is unknown';
END
$$;

-- Weeks of raw events that are being removed in chunks. Maintenance of the release before removes a week at once.
CREATE TABLE week_removals (
    partition      text PRIMARY KEY COLLATE "C",
    removed_before uuid NOT NULL
);
COMMENT ON TABLE week_removals IS 'Weekly partitions that are being removed, and how far; a row leaves with its partition';
COMMENT ON COLUMN week_removals.removed_before IS 'Events with lower ids are in `retired`';

GRANT SELECT, INSERT, UPDATE, DELETE ON week_removals TO analytics_maintenance;

-- How far erasures have searched the streams. Maintenance of the release before searches from the beginning.
CREATE TABLE erasure_sweeps (
    job_id           uuid     NOT NULL,
    stream_partition smallint NOT NULL,
    searched_to      text     NOT NULL COLLATE "C",
    waiting          text[]   NOT NULL,
    PRIMARY KEY (job_id, stream_partition)
);
COMMENT ON TABLE erasure_sweeps IS 'How far each open erasure has searched each stream';
COMMENT ON COLUMN erasure_sweeps.waiting IS 'Entries that were found and that some group has not settled yet';

GRANT SELECT, INSERT, UPDATE, DELETE ON erasure_sweeps TO analytics_maintenance;

-- What the nightly verification has compared.
CREATE TABLE verified_parts (
    part        text        NOT NULL COLLATE "C",
    table_name  text        NOT NULL COLLATE "C",
    drift_rows  bigint      NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (part, table_name)
);
COMMENT ON TABLE verified_parts IS 'The last comparison of each part of the aggregates: a day, or a share of the learners';

CREATE TABLE verify_results (
    table_name      text        PRIMARY KEY COLLATE "C",
    drift_rows      bigint      NOT NULL,
    last_success_at timestamptz
);
COMMENT ON TABLE verify_results IS 'Rows of each aggregate that differed when their part was compared last';
COMMENT ON COLUMN verify_results.last_success_at IS 'When everything that was due was compared, whether or not it differed';

GRANT SELECT, INSERT, UPDATE, DELETE ON verified_parts, verify_results TO analytics_maintenance;

-- The summary by hour. Maintenance of the release before refreshes the view alone: while the table is empty, it holds
-- what it held before.
CREATE TABLE hourly_summary (
    hour                timestamptz PRIMARY KEY,
    events              bigint NOT NULL,
    learner_events      bigint NOT NULL,
    sessions_started    bigint NOT NULL,
    materials_viewed    bigint NOT NULL,
    materials_completed bigint NOT NULL,
    ai_messages         bigint NOT NULL,
    searches            bigint NOT NULL,
    api_requests        bigint NOT NULL,
    api_errors          bigint NOT NULL,
    xp_earned           bigint NOT NULL,
    active_users        bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE hourly_summary IS 'The last 30 days by hour (UTC); an hour without a row is counted at the next refresh';
GRANT SELECT, INSERT, UPDATE, DELETE ON hourly_summary TO analytics_maintenance;

DROP MATERIALIZED VIEW hourly_analytics_summary;
CREATE MATERIALIZED VIEW hourly_analytics_summary AS
WITH counts AS (
    SELECT hour,
           sum(events)                                                                           AS events,
           sum(events) FILTER (WHERE event_type NOT IN ('api_request', 'api_error'))             AS learner_events,
           sum(events) FILTER (WHERE event_type = 'session_start')                               AS sessions_started,
           sum(events) FILTER (WHERE event_type = 'material_view')                               AS materials_viewed,
           sum(events) FILTER (WHERE event_type = 'material_complete')                           AS materials_completed,
           sum(events) FILTER (WHERE event_type IN ('ai_message_sent', 'ai_message_received'))   AS ai_messages,
           sum(events) FILTER (WHERE event_type = 'search_query')                                AS searches,
           sum(events) FILTER (WHERE event_type = 'api_request')                                 AS api_requests,
           sum(events) FILTER (WHERE event_type = 'api_error')                                   AS api_errors,
           sum(xp)                                                                               AS xp_earned
    FROM hourly_event_counts
    WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
      AND NOT EXISTS (SELECT FROM hourly_summary)
    GROUP BY hour
), active AS (
    SELECT hour, count(*) AS active_users
    FROM active_users_hourly
    WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
      AND NOT EXISTS (SELECT FROM hourly_summary)
    GROUP BY hour
)
SELECT hour, events, learner_events, sessions_started, materials_viewed, materials_completed, ai_messages, searches,
       api_requests, api_errors, xp_earned, active_users
FROM hourly_summary
WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
UNION ALL
SELECT hour,
       events::bigint                            AS events,
       coalesce(learner_events, 0)::bigint       AS learner_events,
       coalesce(sessions_started, 0)::bigint     AS sessions_started,
       coalesce(materials_viewed, 0)::bigint     AS materials_viewed,
       coalesce(materials_completed, 0)::bigint  AS materials_completed,
       coalesce(ai_messages, 0)::bigint          AS ai_messages,
       coalesce(searches, 0)::bigint             AS searches,
       coalesce(api_requests, 0)::bigint         AS api_requests,
       coalesce(api_errors, 0)::bigint           AS api_errors,
       xp_earned::bigint                         AS xp_earned,
       coalesce(active_users, 0)                 AS active_users
FROM counts LEFT JOIN active USING (hour);
CREATE UNIQUE INDEX hourly_analytics_summary_hour ON hourly_analytics_summary (hour);
COMMENT ON MATERIALIZED VIEW hourly_analytics_summary IS 'The last 30 days by hour (UTC), refreshed by maintenance';
ALTER MATERIALIZED VIEW hourly_analytics_summary OWNER TO analytics_maintenance;
GRANT SELECT ON hourly_analytics_summary TO analytics_reader;

-- Finds what was received around a loss of Redis. Rows are stored in the order in which they were received, so ranges of
-- pages suffice. Reads every raw event once; workers wait meanwhile.
CREATE INDEX analytics_events_received ON analytics_events
    USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);

-- Every batch updates these tables; the default waits for a fifth of their rows, and is too slow for large ones.
DO $$
DECLARE
    hot regclass;
BEGIN
    FOR hot IN
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND (
            n.nspname = 'retired' OR n.nspname = 'public' AND c.relname IN (
                'learning_sessions', 'gamification_stats', 'learner_achievements', 'learner_materials',
                'daily_activity_summary', 'ai_coach_metrics', 'active_users_hourly', 'hourly_event_counts',
                'system_errors', 'system_metrics', 'settled_entries', 'batch_books', 'analytics_events_reserved'))
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.02,'
                       ' autovacuum_vacuum_cost_limit = 2000)', hot);
    END LOOP;
END
$$;

-- Rows of raw partitions are inserted and never updated: vacuum early, so that less is left when the week closes.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'analytics_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_scale_factor = 0.05)', part);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION analytics_ensure_partitions(from_moment timestamptz, to_moment timestamptz) RETURNS integer
    LANGUAGE plpgsql AS $$
DECLARE
    week    timestamptz := date_trunc('week', from_moment, 'UTC');
    name    text;
    created integer := 0;
BEGIN
    WHILE week <= to_moment LOOP
        name := 'analytics_events_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD');
        IF to_regclass(name) IS NULL THEN
            -- LIKE and ATTACH lock less than CREATE .. PARTITION OF: writers go on.
            EXECUTE format('CREATE TABLE %I (LIKE analytics_events INCLUDING ALL)'
                           ' WITH (autovacuum_vacuum_insert_scale_factor = 0.05)', name);
            -- LIKE leaves this out
            EXECUTE format('ALTER TABLE %I ALTER COLUMN properties SET STATISTICS 0', name);
            -- whoever made it: maintenance must be able to drop it
            EXECUTE format('ALTER TABLE %I OWNER TO analytics_maintenance', name);
            EXECUTE format('ALTER TABLE analytics_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           name, analytics_uuid_floor(week), analytics_uuid_floor(week + interval '7 days'));
            created := created + 1;
        END IF;
        week := week + interval '7 days';
    END LOOP;
    RETURN created;
END
$$;

CREATE TABLE frozen_weeks (
    partition text        PRIMARY KEY COLLATE "C",
    frozen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE frozen_weeks IS 'Weekly partitions that were vacuumed and frozen after their week; a row leaves with its partition';
GRANT SELECT, INSERT, UPDATE, DELETE ON frozen_weeks TO analytics_maintenance;
