-- Constant defaults: no row is rewritten, so the lock on the table is held for a moment only.
ALTER TABLE learning_sessions
    ADD COLUMN activity             tstzmultirange NOT NULL DEFAULT '{}',
    ADD COLUMN reported_duration_us bigint,
    ADD COLUMN duration_reported_at timestamptz,
    ADD COLUMN duration_event_id    uuid;
ALTER TABLE retired.learning_sessions
    ADD COLUMN activity             tstzmultirange NOT NULL DEFAULT '{}',
    ADD COLUMN reported_duration_us bigint,
    ADD COLUMN duration_reported_at timestamptz,
    ADD COLUMN duration_event_id    uuid;
COMMENT ON COLUMN learning_sessions.activity IS
    'Union of the five minutes from each event on; empty: the release before wrote the row, its time is last event minus first';
COMMENT ON COLUMN learning_sessions.reported_duration_us IS 'Microseconds, as the latest session_end with a duration says';
COMMENT ON COLUMN learning_sessions.reported_duration_ms IS
    'Longest reported duration; read only where reported_duration_us is not known';

CREATE TABLE learner_materials (
    user_hash           bytea  NOT NULL,
    material_id         text   NOT NULL COLLATE "C",
    views               bigint NOT NULL,
    completions         bigint NOT NULL,
    last_viewed_date    date,
    last_completed_date date,
    PRIMARY KEY (user_hash, material_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE learner_materials IS 'Materials a learner viewed or completed, each with the latest local day of either';
CREATE TABLE retired.learner_materials (LIKE learner_materials INCLUDING ALL);

GRANT SELECT, INSERT, UPDATE ON learner_materials TO analytics_writer;
GRANT SELECT ON learner_materials, retired.learner_materials TO analytics_reader;
GRANT SELECT, DELETE ON learner_materials TO analytics_maintenance;
GRANT SELECT, INSERT, UPDATE, DELETE ON retired.learner_materials TO analytics_maintenance;
