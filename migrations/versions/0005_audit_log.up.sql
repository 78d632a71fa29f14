CREATE TABLE audit_log (
    entry_id   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text        NOT NULL COLLATE "C",
    action     text        NOT NULL COLLATE "C",
    subject    bytea,
    span       jsonb,
    outcome    text        NOT NULL COLLATE "C",
    keep_until timestamptz NOT NULL,
    CHECK (keep_until >= at + interval '30 days')
);
CREATE INDEX audit_log_time ON audit_log (at);
CREATE INDEX audit_log_subject ON audit_log (subject, at) WHERE subject IS NOT NULL;
COMMENT ON TABLE audit_log IS 'Who read or changed what; never the content. Rows can be added, and removed after keep_until, and nothing else';
COMMENT ON COLUMN audit_log.actor IS 'key:<id>, service:<name>, learner:<pseudonym> or operator:<account>';
COMMENT ON COLUMN audit_log.subject IS 'Pseudonym of the learner it was about';
COMMENT ON COLUMN audit_log.span IS 'How much was asked for: days, hours, zone';

CREATE FUNCTION analytics_keep_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.keep_until <= now() THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION analytics_keep_audit_log();
CREATE TRIGGER audit_log_keeps_all BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION analytics_keep_audit_log();
