DROP TABLE learner_materials, retired.learner_materials;
ALTER TABLE learning_sessions
    DROP COLUMN activity, DROP COLUMN reported_duration_us, DROP COLUMN duration_reported_at,
    DROP COLUMN duration_event_id;
ALTER TABLE retired.learning_sessions
    DROP COLUMN activity, DROP COLUMN reported_duration_us, DROP COLUMN duration_reported_at,
    DROP COLUMN duration_event_id;
COMMENT ON COLUMN learning_sessions.reported_duration_ms IS NULL;
