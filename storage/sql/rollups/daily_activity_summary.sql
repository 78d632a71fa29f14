-- A learner's day.
SELECT user_hash,
       activity_date,
       count(*)                                                                   AS activity_count,
       count(*) FILTER (WHERE event_type = 'material_view')                       AS materials_viewed,
       count(*) FILTER (WHERE event_type = 'material_complete')                   AS materials_completed,
       coalesce(sum(CASE event_type
                        WHEN 'xp_earned' THEN (properties ->> 'xp_amount')::integer
                        WHEN 'achievement_earned' THEN (properties ->> 'xp_reward')::integer
                    END), 0)::bigint                                              AS xp_earned,
       count(*) FILTER (WHERE event_type IN ('ai_message_sent', 'ai_message_received')) AS ai_messages,
       count(*) FILTER (WHERE event_type = 'search_query')                        AS searches
FROM {events} AS events
WHERE event_type NOT IN ('api_request', 'api_error') AND user_hash IS NOT NULL
GROUP BY user_hash, activity_date
