-- AI coach activity by learner and day. Each time is rounded to whole milliseconds before the sum, so that sums are exact.
SELECT user_hash,
       activity_date,
       count(*) FILTER (WHERE event_type = 'ai_message_sent')                     AS messages_sent,
       count(*) FILTER (WHERE event_type = 'ai_message_received')                 AS messages_received,
       coalesce(sum((properties ->> 'message_length')::integer), 0)::bigint       AS message_length_sum,
       coalesce(sum(round((properties ->> 'response_time_ms')::numeric)::integer), 0)::bigint AS response_time_ms_sum,
       max(round((properties ->> 'response_time_ms')::numeric))::bigint           AS response_time_ms_max,
       coalesce(sum((properties ->> 'tokens')::integer), 0)::bigint               AS tokens_sum,
       count(*) FILTER (WHERE event_type = 'ai_feedback_rated')                   AS ratings_count,
       coalesce(sum((properties ->> 'rating')::integer), 0)::bigint               AS ratings_sum
FROM {events} AS events
WHERE {type_condition} AND user_hash IS NOT NULL
GROUP BY user_hash, activity_date
