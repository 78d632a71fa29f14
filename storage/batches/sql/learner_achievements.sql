-- Achievements by learner, each with the date and name of its first earning.
SELECT user_hash,
       properties ->> 'achievement_id'                                            AS achievement_id,
       min(occurred_at)                                                           AS earned_at,
       (array_agg(event_id ORDER BY occurred_at, event_id))[1]                    AS earn_event_id,
       (array_agg(activity_date ORDER BY occurred_at, event_id))[1]               AS activity_date,
       (array_agg(properties ->> 'achievement_name' ORDER BY occurred_at, event_id))[1] AS name,
       count(*)                                                                   AS times_earned
FROM {events} AS events
WHERE {type_condition} AND user_hash IS NOT NULL
GROUP BY user_hash, properties ->> 'achievement_id'
