-- The roles stay: other databases of the server may use them.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'analytics_events'::regclass LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO %I', part, current_user);
    END LOOP;
    EXECUTE format('ALTER TABLE analytics_events OWNER TO %I', current_user);
    EXECUTE format('ALTER MATERIALIZED VIEW hourly_analytics_summary OWNER TO %I', current_user);
END
$$;
REVOKE ALL ON SCHEMA public, retired FROM analytics_writer, analytics_reader, analytics_maintenance;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM analytics_writer, analytics_reader, analytics_maintenance;
REVOKE ALL ON ALL TABLES IN SCHEMA retired FROM analytics_writer, analytics_reader, analytics_maintenance;

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
            EXECUTE format('CREATE TABLE %I (LIKE analytics_events INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE analytics_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           name, analytics_uuid_floor(week), analytics_uuid_floor(week + interval '7 days'));
            created := created + 1;
        END IF;
        week := week + interval '7 days';
    END LOOP;
    RETURN created;
END
$$;
