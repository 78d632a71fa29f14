-- API requests by five minutes, endpoint and latency bucket. Bucket b holds 1.02^(b-1) < ms <= 1.02^b (DDSketch, Masson et
-- al. 2019).
SELECT date_bin('5 minutes', occurred_at, 'epoch')                                AS bucket_start,
       properties ->> 'endpoint'                                                  AS endpoint,
       ceil(ln(greatest((properties ->> 'duration_ms')::float8, 0.001)) / ln(1.02::float8))::smallint AS latency_bucket,
       count(*)                                                                   AS requests,
       count(*) FILTER (WHERE (properties ->> 'status_code')::integer BETWEEN 400 AND 499) AS client_errors,
       count(*) FILTER (WHERE (properties ->> 'status_code')::integer >= 500)     AS server_errors
FROM {events} AS events
WHERE {type_condition}
GROUP BY 1, 2, 3
