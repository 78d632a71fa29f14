CREATE TABLE erasure_residue (
    place    text        PRIMARY KEY COLLATE "C",
    since    timestamptz,
    latest   timestamptz,
    asked_at timestamptz,
    wal_end  pg_lsn
);
COMMENT ON TABLE erasure_residue IS
    'Where bytes of erased learners may still be: redis, wal, or a table. No row and no `since`: nothing is left there';
COMMENT ON COLUMN erasure_residue.since IS 'Oldest removal that is not purged';
COMMENT ON COLUMN erasure_residue.latest IS 'Newest removal: what was purged before it may be there again';
COMMENT ON COLUMN erasure_residue.asked_at IS 'Start of the last purge';
COMMENT ON COLUMN erasure_residue.wal_end IS 'The write-ahead log is purged once a checkpoint is past this place';
GRANT SELECT, INSERT, UPDATE, DELETE ON erasure_residue TO analytics_maintenance;

CREATE FUNCTION analytics_rewrite(place text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    target  regclass := to_regclass(place);
    ordered name;
BEGIN
    SELECT i.relname INTO ordered
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_index x ON x.indrelid = c.oid AND x.indisprimary
    JOIN pg_class i ON i.oid = x.indexrelid
    WHERE c.oid = target AND c.relkind = 'r' AND n.nspname IN ('public', 'retired')
      AND (c.relname = 'dead_letters'
           OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_hash'));
    IF ordered IS NOT NULL THEN
        EXECUTE format('CLUSTER %s USING %I', target, ordered);
    END IF;
END
$$;
COMMENT ON FUNCTION analytics_rewrite IS
    'Writes a table with data of learners anew, without its removed rows; nobody can use it meanwhile. No-op for any other';
REVOKE EXECUTE ON FUNCTION analytics_rewrite FROM PUBLIC;
GRANT EXECUTE ON FUNCTION analytics_rewrite TO analytics_maintenance;

-- A checkpoint and a new segment of the log, for the purge. Who migrates may lack the right to give them away.
DO $$
BEGIN
    GRANT pg_checkpoint TO analytics_maintenance;
EXCEPTION
    WHEN insufficient_privilege OR undefined_object THEN
        RAISE NOTICE 'analytics_maintenance may not CHECKPOINT: it waits for those of the server';
END
$$;
DO $$
BEGIN
    GRANT EXECUTE ON FUNCTION pg_switch_wal() TO analytics_maintenance;
    REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_open(oid, integer),
        lo_put(oid, bigint, bytea), lowrite(integer, bytea) FROM PUBLIC;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'functions of the server keep their rights: a superuser can change them, see docs/privacy.md';
END
$$;

-- Whose events an answer showed, where it was not about one learner.
ALTER TABLE audit_log ADD COLUMN shown bytea[];
CREATE INDEX audit_log_shown ON audit_log USING gin (shown) WHERE shown IS NOT NULL;
COMMENT ON COLUMN audit_log.shown IS 'Pseudonyms of learners whose events were shown';

-- Statistics are copies: the most common texts of a column, and samples. No query needs those of learners' texts.
ALTER TABLE analytics_events ALTER COLUMN properties SET STATISTICS 0;
ALTER TABLE learner_achievements ALTER COLUMN achievement_id SET STATISTICS 0, ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE retired.learner_achievements ALTER COLUMN achievement_id SET STATISTICS 0, ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE learner_materials ALTER COLUMN material_id SET STATISTICS 0;
ALTER TABLE retired.learner_materials ALTER COLUMN material_id SET STATISTICS 0;
ALTER TABLE dead_letters ALTER COLUMN detail SET STATISTICS 0, ALTER COLUMN payload SET STATISTICS 0;
DO $$
BEGIN
    DELETE FROM pg_statistic USING pg_attribute
    WHERE attrelid = starelid AND attnum = staattnum AND attstattarget = 0
      AND attname IN ('properties', 'achievement_id', 'name', 'material_id', 'detail', 'payload');
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
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
