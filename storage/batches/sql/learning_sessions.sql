-- Sessions by session_id. A session_start without a session_id opens a session with its event_id as the id.
SELECT user_hash,
       coalesce(session_id, event_id)                                             AS session_id,
       min(occurred_at)                                                           AS started_at,
       (array_agg(event_id ORDER BY occurred_at, event_id))[1]                    AS start_event_id,
       (array_agg(activity_date ORDER BY occurred_at, event_id))[1]               AS activity_date,
       max(occurred_at)                                                           AS last_event_at,
       max(occurred_at) FILTER (WHERE event_type = 'session_end')                 AS ended_at,
       -- for readers of the previous release
       max(round((properties ->> 'duration_seconds')::numeric * 1000)::bigint)
           FILTER (WHERE event_type = 'session_end')                              AS reported_duration_ms,
       count(*)                                                                   AS event_count,
       range_agg(tstzrange(occurred_at, occurred_at + {session_resolution}))      AS activity,
       (array_agg(round((properties ->> 'duration_seconds')::numeric * 1000000)::bigint
                  ORDER BY occurred_at DESC, event_id DESC)
           FILTER (WHERE event_type = 'session_end' AND properties ->> 'duration_seconds' IS NOT NULL))[1] AS reported_duration_us,
       max(occurred_at) FILTER (WHERE event_type = 'session_end' AND properties ->> 'duration_seconds' IS NOT NULL)
                                                                                  AS duration_reported_at,
       (array_agg(event_id ORDER BY occurred_at DESC, event_id DESC)
           FILTER (WHERE event_type = 'session_end' AND properties ->> 'duration_seconds' IS NOT NULL))[1] AS duration_event_id
FROM {events} AS events
WHERE {type_condition}
  AND user_hash IS NOT NULL
  AND (session_id IS NOT NULL OR event_type = 'session_start')
GROUP BY user_hash, coalesce(session_id, event_id)
