-- API errors by five minutes, endpoint and type.
SELECT date_bin('5 minutes', occurred_at, 'epoch')                                AS bucket_start,
       properties ->> 'endpoint'                                                  AS endpoint,
       properties ->> 'error_type'                                                AS error_type,
       count(*)                                                                   AS errors
FROM {events} AS events
WHERE {type_condition}
GROUP BY date_bin('5 minutes', occurred_at, 'epoch'), properties ->> 'endpoint', properties ->> 'error_type'
