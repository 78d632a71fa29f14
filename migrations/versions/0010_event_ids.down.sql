DROP TABLE unscoped_event_ids, event_id_conflicts;
