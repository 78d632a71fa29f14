-- Requests to the platform's API by latency bucket, over all endpoints.
--   $1 timestamptz  the start of a five-minute bucket; later buckets are included
SELECT latency_bucket, sum(requests)::bigint AS requests, sum(server_errors)::bigint AS server_errors
FROM system_metrics
WHERE bucket_start >= $1
GROUP BY latency_bucket
