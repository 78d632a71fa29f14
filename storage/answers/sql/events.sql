-- A page of events, newest first.
--   $1 timestamptz  start of the window, included
--   $2, $3          the place behind which the page begins: timestamptz and uuid; the end of the window and the lowest id
--                   for the first page
--   $4 text[]       only these types; NULL: every type
--   $5 uuid         only this session; NULL: every session
--   $6 integer      how many at most
SELECT event_id, event_type, user_hash, session_id, occurred_at, received_at, activity_date, schema_version, source,
       properties
FROM analytics_events
WHERE occurred_at >= $1::timestamptz
  AND (occurred_at, event_id) < ($2::timestamptz, $3::uuid)
  AND ($4::text[] IS NULL OR event_type = ANY ($4))
  AND ($5::uuid IS NULL OR session_id = $5)
ORDER BY occurred_at DESC, event_id DESC
LIMIT $6::integer
