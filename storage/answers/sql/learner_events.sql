-- A page of one learner's events, newest first.
--   $1 to $6  as in events.sql
--   $7 bytea[]  the pseudonyms of the learner
SELECT event.*
FROM unnest($7::bytea[]) AS known (name)
     -- one pseudonym at a time: the index orders the events of one, not of several
     CROSS JOIN LATERAL (
         SELECT event_id, event_type, user_hash, session_id, occurred_at, received_at, activity_date, schema_version,
                source, properties
         FROM analytics_events
         WHERE user_hash = known.name
           AND occurred_at >= $1::timestamptz
           AND (occurred_at, event_id) < ($2::timestamptz, $3::uuid)
           AND ($4::text[] IS NULL OR event_type = ANY ($4))
           AND ($5::uuid IS NULL OR session_id = $5)
         ORDER BY occurred_at DESC, event_id DESC
         LIMIT $6::integer
     ) AS event
ORDER BY occurred_at DESC, event_id DESC
LIMIT $6::integer
