DROP TABLE retention_horizon, retired_event_ids;
ALTER TABLE stream_positions DROP COLUMN first_entry_id;
DELETE FROM settled_entries WHERE outcome IN ('retired', 'dropped');
ALTER TABLE settled_entries DROP CONSTRAINT settled_entries_outcome_check;
ALTER TABLE settled_entries ADD CONSTRAINT settled_entries_outcome_check
    CHECK (outcome IN ('duplicate', 'suppressed'));
