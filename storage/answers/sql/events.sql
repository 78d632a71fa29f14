-- A page of events, newest first.
--   $1 timestamptz  start of the window, included
--   $2, $3          the position after which the page begins, timestamptz and uuid; for the first page, the end of the
--                   window and the lowest id
--   $4 text[]       only these types; NULL: all types
--   $5 uuid         only this session; NULL: all sessions
--   $6 integer      maximum number of events
SELECT event_id, event_type, user_hash, session_id, occurred_at, received_at, activity_date, schema_version, source,
       properties
FROM analytics_events
WHERE occurred_at >= $1::timestamptz
  AND (occurred_at, event_id) < ($2::timestamptz, $3::uuid)
  AND ($4::text[] IS NULL OR event_type = ANY ($4))
  AND ($5::uuid IS NULL OR session_id = $5)
ORDER BY occurred_at DESC, event_id DESC
LIMIT $6::integer
