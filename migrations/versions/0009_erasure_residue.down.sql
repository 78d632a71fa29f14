DROP TABLE erasure_residue;
DROP FUNCTION analytics_rewrite(text);
DO $$
BEGIN
    REVOKE EXECUTE ON FUNCTION pg_switch_wal() FROM analytics_maintenance;
    GRANT EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_open(oid, integer),
        lo_put(oid, bigint, bytea), lowrite(integer, bytea) TO PUBLIC;
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
END
$$;
ALTER TABLE audit_log DROP COLUMN shown;
ALTER TABLE analytics_events ALTER COLUMN properties SET STATISTICS -1;
ALTER TABLE learner_achievements ALTER COLUMN achievement_id SET STATISTICS -1, ALTER COLUMN name SET STATISTICS -1;
ALTER TABLE retired.learner_achievements ALTER COLUMN achievement_id SET STATISTICS -1, ALTER COLUMN name SET STATISTICS -1;
ALTER TABLE learner_materials ALTER COLUMN material_id SET STATISTICS -1;
ALTER TABLE retired.learner_materials ALTER COLUMN material_id SET STATISTICS -1;
ALTER TABLE dead_letters ALTER COLUMN detail SET STATISTICS -1, ALTER COLUMN payload SET STATISTICS -1;
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
