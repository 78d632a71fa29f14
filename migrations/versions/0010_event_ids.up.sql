CREATE TABLE unscoped_event_ids (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    until    timestamptz NOT NULL
);
COMMENT ON TABLE unscoped_event_ids IS
    'Raw events may have ids that were mapped without their source. One row; none once such events are past their retention';
COMMENT ON COLUMN unscoped_event_ids.until IS
    'No ingest of the release before, which maps ids without their source, receives events any more';

-- A week to replace every ingest process. A new database has the row too: it may be filled from an older stream.
INSERT INTO unscoped_event_ids (until) VALUES (now() + interval '7 days');

CREATE TABLE event_id_conflicts (
    book_date     date   NOT NULL,
    source        text   NOT NULL,
    stored_source text   NOT NULL,
    differs       text   NOT NULL CHECK (differs IN ('event_type', 'learner')),
    events        bigint NOT NULL,
    PRIMARY KEY (book_date, source, stored_source, differs)
);
COMMENT ON TABLE event_id_conflicts IS
    'Events that were dropped as duplicates of an event with the same id and another type or learner, by day';
COMMENT ON COLUMN event_id_conflicts.stored_source IS 'Service that sent the event that is stored';

GRANT SELECT ON unscoped_event_ids TO analytics_writer;
GRANT SELECT, INSERT, UPDATE ON event_id_conflicts TO analytics_writer;
GRANT SELECT, DELETE ON unscoped_event_ids, event_id_conflicts TO analytics_maintenance;
