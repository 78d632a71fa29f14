-- Health of the platform's API in one snapshot.
--   $1, $2 timestamptz  the window, $1 included, $2 excluded; both are starts of five-minute buckets
--   $3 interval         width of a step, counted from $1
--   $4 integer          maximum number of endpoints
WITH bucket AS (
    SELECT date_bin($3::interval, bucket_start, $1::timestamptz) AS step, endpoint, latency_bucket, requests, server_errors
    FROM system_metrics
    WHERE bucket_start >= $1::timestamptz AND bucket_start < $2::timestamptz
), tally AS (
    -- one pass over the buckets: rows by endpoint and latency have no step, rows by step have no endpoint
    SELECT step, endpoint, latency_bucket, sum(requests)::bigint AS requests, sum(server_errors)::bigint AS server_errors
    FROM bucket
    GROUP BY GROUPING SETS ((endpoint, latency_bucket), (step))
), latency AS (
    SELECT latency_bucket, sum(requests)::bigint AS requests
    FROM tally
    WHERE step IS NULL
    GROUP BY latency_bucket
), top_endpoint AS (
    SELECT endpoint, sum(requests)::bigint AS requests, sum(server_errors)::bigint AS server_errors
    FROM tally
    WHERE step IS NULL
    GROUP BY endpoint
    ORDER BY requests DESC, endpoint
    LIMIT $4::integer
), error AS (
    SELECT error_type, sum(errors)::bigint AS errors
    FROM system_errors
    WHERE bucket_start >= $1::timestamptz AND bucket_start < $2::timestamptz
    GROUP BY error_type
)
SELECT (SELECT array_agg((latency_bucket, requests)) FROM latency)            AS latencies,
       (SELECT array_agg((endpoint, requests, server_errors) ORDER BY requests DESC, endpoint)
        FROM top_endpoint)                                                    AS endpoints,
       (SELECT array_agg((tally.endpoint, tally.latency_bucket, tally.requests))
        FROM tally JOIN top_endpoint USING (endpoint))                        AS endpoint_latencies,
       (SELECT array_agg((step, requests, server_errors) ORDER BY step)
        FROM tally WHERE step IS NOT NULL)                                    AS steps,
       (SELECT array_agg((error_type, errors) ORDER BY errors DESC, error_type)
        FROM error)                                                           AS errors,
       -- the window is longer than an hour, so an hour at either end overlaps it exactly when one of the hour's events
       -- lies in it
       (SELECT count(DISTINCT user_hash)
        FROM active_users_hourly
        WHERE hour >= date_trunc('hour', $1::timestamptz, 'UTC') AND hour < $2::timestamptz
          AND last_event_at >= $1::timestamptz AND first_event_at < $2::timestamptz) AS active_users
