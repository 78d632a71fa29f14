CREATE TABLE stream_positions (
    stream_partition smallint    PRIMARY KEY,
    appended         bigint      NOT NULL,
    last_entry_id    text        NOT NULL COLLATE "C",
    observed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE stream_positions IS 'Where the end of each stream was when it was last looked at';

CREATE TABLE stream_losses (
    stream_partition smallint    NOT NULL,
    noticed_at       timestamptz NOT NULL DEFAULT now(),
    after_entry_id   text        NOT NULL COLLATE "C",
    before_entry_id  text        NOT NULL COLLATE "C",
    missing          bigint      NOT NULL,
    lost             bigint      NOT NULL,
    PRIMARY KEY (stream_partition, noticed_at)
);
COMMENT ON TABLE stream_losses IS 'Times a stream went back: Redis was emptied, or an older copy took over';
COMMENT ON COLUMN stream_losses.missing IS 'Entries between the two ids, which the stream had and has no more';
COMMENT ON COLUMN stream_losses.lost IS 'Those of them that nobody had stored';
