-- XP, level and streak reports of a learner over all time.
SELECT user_hash,
       {xp}                                                                       AS total_xp,
       max((properties ->> 'new_level')::integer) FILTER (WHERE event_type = 'level_up') AS highest_level,
       (array_agg((properties ->> 'streak_days')::integer ORDER BY occurred_at DESC, event_id DESC)
           FILTER (WHERE event_type = 'streak_update'))[1]                        AS reported_streak_days,
       max(occurred_at) FILTER (WHERE event_type = 'streak_update')               AS streak_reported_at,
       (array_agg(event_id ORDER BY occurred_at DESC, event_id DESC)
           FILTER (WHERE event_type = 'streak_update'))[1]                        AS streak_event_id,
       count(*)                                                                   AS event_count,
       min(occurred_at)                                                           AS first_event_at,
       max(occurred_at)                                                           AS last_event_at
FROM {events} AS events
WHERE {type_condition} AND user_hash IS NOT NULL
GROUP BY user_hash
