-- One learner in one snapshot.
--   $1 bytea[]      every pseudonym of the learner; a key rotation splits rows, and this query joins them
--   $2 date         today in the caller's time zone
--   $3 integer      number of dates in the window, which ends on the reference day
--   $4 timestamptz  a session without an end is closed when its last event is older
--   $5 interval     session time that a gap in `activity` counts for, at most
-- Placeholders: counter_sums and counters are the counters of the catalogue of events, summed and by name; day and
-- achievement are the fields of LearnerDay and EarnedAchievement.
WITH day AS (
    SELECT activity_date,
           sum(activity_count)::bigint AS activity_count,
           sum(xp_earned)::bigint      AS xp_earned,
           {counter_sums}
    FROM daily_activity_summary
    WHERE user_hash = ANY ($1::bytea[])
    GROUP BY activity_date
), period AS (
    SELECT last_day - ($3::integer - 1) AS first_day, last_day
    FROM (SELECT greatest($2::date, max(activity_date)) AS last_day FROM day WHERE activity_count > 0) AS reference
), tally AS (
    SELECT {counter_sums}
    FROM day JOIN period ON activity_date BETWEEN first_day AND last_day
), touched AS (
    SELECT DISTINCT session_id
    FROM learning_sessions
    WHERE user_hash = ANY ($1::bytea[])
      AND activity_date BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
), session AS (
    SELECT (array_agg(activity_date ORDER BY started_at, start_event_id))[1] AS activity_date,
           min(started_at)                                                   AS started_at,
           max(last_event_at)                                                AS last_event_at,
           max(ended_at)                                                     AS ended_at,
           range_agg(activity)                                               AS activity,
           coalesce((array_agg(reported_duration_us ORDER BY duration_reported_at DESC, duration_event_id DESC)
                        FILTER (WHERE duration_reported_at IS NOT NULL))[1],
                    max(reported_duration_ms) * 1000)                        AS reported_microseconds
    FROM learning_sessions
    JOIN touched USING (session_id)
    WHERE user_hash = ANY ($1::bytea[])
    GROUP BY session_id
), timed_session AS (
    -- whole microseconds, the resolution of the clock, so sums are exact
    SELECT activity_date, last_event_at, ended_at,
           CASE WHEN reported_microseconds IS NOT NULL THEN least(reported_microseconds, 24 * 3600 * 1000000::bigint)
                ELSE (extract(epoch FROM last_event_at - started_at - silence) * 1000000)::bigint
           END AS microseconds
    FROM session
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(upper(hole) - lower(hole) - $5::interval), '0') AS silence
        FROM unnest(range_merge(activity)::tstzmultirange - activity) AS hole
        WHERE upper(hole) - lower(hole) > $5::interval
    ) AS uncounted
    WHERE activity_date BETWEEN (SELECT first_day FROM period) AND (SELECT last_day FROM period)
), session_day AS (
    SELECT activity_date,
           count(*)                                                                      AS sessions,
           count(*) FILTER (WHERE ended_at IS NULL AND last_event_at >= $4::timestamptz) AS open_sessions,
           sum(microseconds)::bigint                                                     AS session_microseconds
    FROM timed_session
    GROUP BY activity_date
), window_day AS (
    SELECT activity_date,
           coalesce(activity_count, 0)       AS activity_count,
           coalesce(xp_earned, 0)            AS xp_earned,
           coalesce(sessions, 0)             AS sessions,
           coalesce(open_sessions, 0)        AS open_sessions,
           coalesce(session_microseconds, 0) AS session_microseconds
    FROM (
        SELECT day.* FROM day JOIN period ON activity_date BETWEEN first_day AND last_day
    ) AS active
    FULL JOIN session_day USING (activity_date)
), material AS (
    -- no date is after the last day of the window, so the latest date decides whether the window has one
    SELECT count(DISTINCT material_id) FILTER (WHERE last_viewed_date >= first_day)    AS viewed,
           count(DISTINCT material_id) FILTER (WHERE last_completed_date >= first_day) AS completed
    FROM learner_materials
    JOIN period ON greatest(last_viewed_date, last_completed_date) >= first_day
    WHERE user_hash = ANY ($1::bytea[])
), achievement AS (
    SELECT DISTINCT ON (achievement_id) achievement_id, name, earned_at, activity_date
    FROM learner_achievements
    WHERE user_hash = ANY ($1::bytea[])
    ORDER BY achievement_id, earned_at, earn_event_id
)
SELECT (SELECT last_day FROM period)                                          AS reference_day,
       (SELECT array_agg(({day}) ORDER BY activity_date) FROM window_day)     AS days,
       (SELECT ARRAY[{counters}] FROM tally)                                  AS counts,
       (SELECT viewed FROM material)                                          AS distinct_materials_viewed,
       (SELECT completed FROM material)                                       AS distinct_materials_completed,
       (SELECT array_agg(activity_date ORDER BY activity_date)
        FROM day WHERE activity_count > 0)                                    AS active_dates,
       (SELECT array_agg(({achievement}) ORDER BY earned_at DESC, achievement_id)
        FROM achievement)                                                     AS achievements,
       coalesce(sum(total_xp), 0)::bigint                                     AS total_xp,
       max(highest_level)                                                     AS highest_level,
       (array_agg(reported_streak_days ORDER BY streak_reported_at DESC, streak_event_id DESC)
           FILTER (WHERE streak_reported_at IS NOT NULL))[1]                  AS reported_streak_days
FROM gamification_stats
WHERE user_hash = ANY ($1::bytea[])
