DROP TABLE maintenance_epoch, week_removals;
