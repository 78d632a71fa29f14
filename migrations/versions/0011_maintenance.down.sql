DROP INDEX analytics_events_received;
DROP TABLE maintenance_epoch, week_removals, erasure_sweeps, verified_parts, verify_results, frozen_weeks;

DROP MATERIALIZED VIEW hourly_analytics_summary;
DROP TABLE hourly_summary;
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
    GROUP BY hour
), active AS (
    SELECT hour, count(*) AS active_users
    FROM active_users_hourly
    WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
    GROUP BY hour
)
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

DO $$
DECLARE
    changed regclass;
BEGIN
    FOR changed IN SELECT oid FROM pg_class WHERE relkind = 'r' AND reloptions::text LIKE '%autovacuum_vacuum_%' LOOP
        EXECUTE format('ALTER TABLE %s RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_limit,'
                       ' autovacuum_vacuum_insert_scale_factor)', changed);
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
            EXECUTE format('CREATE TABLE %I (LIKE analytics_events INCLUDING ALL)', name);
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
