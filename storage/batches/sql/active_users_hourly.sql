-- Users with at least one event in an hour, API calls included.
SELECT date_trunc('hour', occurred_at, 'UTC')                                     AS hour,
       user_hash,
       min(occurred_at)                                                           AS first_event_at,
       max(occurred_at)                                                           AS last_event_at
FROM {events} AS events
WHERE {type_condition} AND user_hash IS NOT NULL
GROUP BY date_trunc('hour', occurred_at, 'UTC'), user_hash
