-- Events and XP by hour and type.
SELECT date_trunc('hour', occurred_at, 'UTC')                                     AS hour,
       event_type,
       count(*)                                                                   AS events,
       {xp}                                                                       AS xp
FROM {events} AS events
WHERE {type_condition}
GROUP BY date_trunc('hour', occurred_at, 'UTC'), event_type
