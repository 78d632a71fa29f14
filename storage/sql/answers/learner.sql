-- One learner in one snapshot.
--   $1 bytea[]      every pseudonym of the learner: a key rotation splits rows, here they are one again
--   $2, $3 date     first and last activity date of the window
--   $4 timestamptz  a session without an end whose last event is older is closed
WITH day AS (
    SELECT activity_date,
           sum(activity_count)::bigint      AS activity_count,
           sum(materials_viewed)::bigint    AS materials_viewed,
           sum(materials_completed)::bigint AS materials_completed,
           sum(xp_earned)::bigint           AS xp_earned
    FROM daily_activity_summary
    WHERE user_hash = ANY ($1::bytea[])
    GROUP BY activity_date
), touched AS (
    SELECT DISTINCT session_id
    FROM learning_sessions
    WHERE user_hash = ANY ($1::bytea[]) AND activity_date BETWEEN $2::date AND $3::date
), session AS (
    SELECT (array_agg(activity_date ORDER BY started_at, start_event_id))[1] AS activity_date,
           min(started_at)                                                   AS started_at,
           max(last_event_at)                                                AS last_event_at,
           max(ended_at)                                                     AS ended_at,
           max(reported_duration_ms)                                         AS reported_duration_ms
    FROM learning_sessions
    JOIN touched USING (session_id)
    WHERE user_hash = ANY ($1::bytea[])
    GROUP BY session_id
), session_day AS (
    SELECT activity_date,
           count(*)                                                                            AS sessions,
           count(*) FILTER (WHERE ended_at IS NULL AND last_event_at >= $4::timestamptz)       AS open_sessions,
           -- whole microseconds, the resolution of the clock: sums are exact
           sum(coalesce(reported_duration_ms * 1000,
                        (extract(epoch FROM last_event_at - started_at) * 1000000)::bigint))::bigint AS microseconds
    FROM session
    WHERE activity_date BETWEEN $2::date AND $3::date
    GROUP BY activity_date
), window_day AS (
    SELECT activity_date,
           coalesce(activity_count, 0)      AS activity_count,
           coalesce(materials_viewed, 0)    AS materials_viewed,
           coalesce(materials_completed, 0) AS materials_completed,
           coalesce(xp_earned, 0)           AS xp_earned,
           coalesce(sessions, 0)            AS sessions,
           coalesce(open_sessions, 0)       AS open_sessions,
           coalesce(microseconds, 0)        AS microseconds
    FROM (SELECT * FROM day WHERE activity_date BETWEEN $2::date AND $3::date) AS active
    FULL JOIN session_day USING (activity_date)
), achievement AS (
    SELECT DISTINCT ON (achievement_id) achievement_id, name, earned_at, activity_date
    FROM learner_achievements
    WHERE user_hash = ANY ($1::bytea[])
    ORDER BY achievement_id, earned_at, earn_event_id
)
SELECT (SELECT array_agg((activity_date, activity_count, materials_viewed, materials_completed, xp_earned,
                          sessions, open_sessions, microseconds) ORDER BY activity_date)
        FROM window_day)                                                      AS days,
       (SELECT array_agg(activity_date ORDER BY activity_date)
        FROM day WHERE activity_count > 0)                                    AS active_dates,
       (SELECT array_agg((achievement_id, name, earned_at, activity_date) ORDER BY earned_at DESC, achievement_id)
        FROM achievement)                                                     AS achievements,
       coalesce(sum(total_xp), 0)::bigint                                     AS total_xp,
       max(highest_level)                                                     AS highest_level,
       (array_agg(reported_streak_days ORDER BY streak_reported_at DESC, streak_event_id DESC)
           FILTER (WHERE streak_reported_at IS NOT NULL))[1]                  AS reported_streak_days
FROM gamification_stats
WHERE user_hash = ANY ($1::bytea[])
