-- Group roles: they hold rights, nobody logs in as one. Roles are the server's, rights are each database's.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['analytics_writer', 'analytics_reader', 'analytics_maintenance'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                -- another database of this server is migrated at the same moment
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;
    -- who migrates must be able to alter what maintenance owns
    IF NOT pg_has_role(current_user, 'analytics_maintenance', 'MEMBER') THEN
        EXECUTE format('GRANT analytics_maintenance TO %I', current_user);
    END IF;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO analytics_writer, analytics_reader, analytics_maintenance;
GRANT USAGE ON SCHEMA retired TO analytics_reader, analytics_maintenance;
GRANT SELECT ON alembic_version TO analytics_writer, analytics_reader, analytics_maintenance;

-- Workers: add, never take away.
GRANT SELECT, INSERT ON analytics_events, dead_letters, settled_entries TO analytics_writer;
GRANT SELECT ON erased_users TO analytics_writer;
GRANT SELECT, INSERT, UPDATE ON
    batch_books, learning_sessions, gamification_stats, learner_achievements, daily_activity_summary, ai_coach_metrics,
    active_users_hourly, hourly_event_counts, system_errors, system_metrics
    TO analytics_writer;

-- The read service: read; and add tombstones, erasures, and what it did.
GRANT SELECT ON
    analytics_events, dead_letters, erased_users, erasure_jobs, audit_log, hourly_analytics_summary, learning_sessions,
    gamification_stats, learner_achievements, daily_activity_summary, ai_coach_metrics, active_users_hourly,
    hourly_event_counts, system_errors, system_metrics
    TO analytics_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA retired TO analytics_reader;
GRANT INSERT ON erased_users, erasure_jobs, audit_log TO analytics_reader;

-- Maintenance: remove what is past its retention or erased, and keep what it gave.
GRANT SELECT, DELETE ON
    dead_letters, audit_log, learning_sessions, gamification_stats, learner_achievements, daily_activity_summary,
    ai_coach_metrics, active_users_hourly, hourly_event_counts, system_errors, system_metrics
    TO analytics_maintenance;
GRANT SELECT, INSERT, DELETE ON settled_entries TO analytics_maintenance;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA retired TO analytics_maintenance;
GRANT SELECT, INSERT, UPDATE ON stream_positions, stream_losses TO analytics_maintenance;
GRANT SELECT, UPDATE ON erasure_jobs TO analytics_maintenance;
GRANT SELECT ON erased_users, api_keys, batch_books TO analytics_maintenance;

-- Only an owner may make and drop partitions and refresh a view.
GRANT CREATE ON SCHEMA public TO analytics_maintenance;
ALTER MATERIALIZED VIEW hourly_analytics_summary OWNER TO analytics_maintenance;
ALTER TABLE analytics_events OWNER TO analytics_maintenance;
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'analytics_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO analytics_maintenance', part);
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
