-- Terms of leadership. Maintenance of the release before does not read this: it needs the lock alone.
CREATE TABLE maintenance_epoch (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch    bigint      NOT NULL,
    began_at timestamptz NOT NULL
);
COMMENT ON TABLE maintenance_epoch IS 'The current term of leadership. One row';
COMMENT ON COLUMN maintenance_epoch.epoch IS 'Number of the term; a process whose term has another number may not write';
INSERT INTO maintenance_epoch (epoch, began_at) VALUES (0, now());

GRANT SELECT, UPDATE ON maintenance_epoch TO analytics_maintenance;

-- Weeks of raw events that are being removed in chunks. Maintenance of the release before removes a week at once.
CREATE TABLE week_removals (
    partition      text PRIMARY KEY COLLATE "C",
    removed_before uuid NOT NULL
);
COMMENT ON TABLE week_removals IS 'Weekly partitions that are being removed, and how far; a row leaves with its partition';
COMMENT ON COLUMN week_removals.removed_before IS 'Events with lower ids are in `retired`';

GRANT SELECT, INSERT, UPDATE, DELETE ON week_removals TO analytics_maintenance;
