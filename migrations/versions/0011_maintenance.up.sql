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
