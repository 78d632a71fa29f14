-- Activity, XP and counters by learner and day.
SELECT user_hash,
       activity_date,
       count(*)                                                                   AS activity_count,
       {xp}                                                                       AS xp_earned,
       {counts}
FROM {events} AS events
WHERE {type_condition} AND user_hash IS NOT NULL
GROUP BY user_hash, activity_date
