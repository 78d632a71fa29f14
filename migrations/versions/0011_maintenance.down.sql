DROP TABLE maintenance_epoch;
