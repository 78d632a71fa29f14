-- What a learner has gathered. XP: xp_earned.xp_amount and achievement_earned.xp_reward, nothing else.
SELECT user_hash,
       coalesce(sum(CASE event_type
                        WHEN 'xp_earned' THEN (properties ->> 'xp_amount')::integer
                        WHEN 'achievement_earned' THEN (properties ->> 'xp_reward')::integer
                    END), 0)::bigint                                              AS total_xp,
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
WHERE event_type NOT IN ('api_request', 'api_error') AND user_hash IS NOT NULL
GROUP BY user_hash
