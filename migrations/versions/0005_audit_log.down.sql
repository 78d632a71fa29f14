DROP TABLE audit_log;
DROP FUNCTION analytics_keep_audit_log();
