-- Events of an hour by type.
SELECT date_trunc('hour', occurred_at, 'UTC')                                     AS hour,
       event_type,
       count(*)                                                                   AS events,
       coalesce(sum(CASE event_type
                        WHEN 'xp_earned' THEN (properties ->> 'xp_amount')::integer
                        WHEN 'achievement_earned' THEN (properties ->> 'xp_reward')::integer
                    END), 0)::bigint                                              AS xp
FROM {events} AS events
GROUP BY date_trunc('hour', occurred_at, 'UTC'), event_type
