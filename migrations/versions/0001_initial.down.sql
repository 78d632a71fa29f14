DROP MATERIALIZED VIEW hourly_analytics_summary;
DROP SCHEMA retired CASCADE;
DROP TABLE batch_books, settled_entries, erased_users, dead_letters;
DROP TABLE system_metrics, system_errors, hourly_event_counts, active_users_hourly, ai_coach_metrics,
           daily_activity_summary, learner_achievements, gamification_stats, learning_sessions;
DROP TABLE analytics_events CASCADE;
DROP FUNCTION analytics_ensure_partitions(timestamptz, timestamptz);
DROP FUNCTION analytics_uuid_floor(timestamptz);
