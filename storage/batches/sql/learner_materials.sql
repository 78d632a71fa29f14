-- Materials by learner, each with the latest activity dates of a view and of a completion.
SELECT user_hash,
       properties ->> 'material_id'                                               AS material_id,
       count(*) FILTER (WHERE event_type = 'material_view')                       AS views,
       count(*) FILTER (WHERE event_type = 'material_complete')                   AS completions,
       max(activity_date) FILTER (WHERE event_type = 'material_view')             AS last_viewed_date,
       max(activity_date) FILTER (WHERE event_type = 'material_complete')         AS last_completed_date
FROM {events} AS events
WHERE {type_condition} AND user_hash IS NOT NULL
  AND properties ->> 'material_id' IS NOT NULL
GROUP BY user_hash, properties ->> 'material_id'
