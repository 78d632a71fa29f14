-- Raw events: one row per accepted event, partitioned by week of their UUIDv7 key.

CREATE TABLE analytics_events (
    event_id         uuid        NOT NULL,
    event_type       text        NOT NULL COLLATE "C",
    user_hash        bytea,
    session_id       uuid,
    occurred_at      timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    activity_date    date        NOT NULL,
    schema_version   smallint    NOT NULL,
    source           text        NOT NULL,
    properties       jsonb       NOT NULL CHECK (jsonb_typeof(properties) = 'object'),
    stream_partition smallint    NOT NULL,
    entry_id         text        NOT NULL COLLATE "C",
    PRIMARY KEY (event_id)
) PARTITION BY RANGE (event_id);

CREATE INDEX analytics_events_time ON analytics_events (occurred_at);
CREATE INDEX analytics_events_learner_time ON analytics_events (user_hash, occurred_at) WHERE user_hash IS NOT NULL;
CREATE INDEX analytics_events_properties ON analytics_events USING gin (properties jsonb_path_ops);

COMMENT ON TABLE analytics_events IS 'Accepted events, exactly once each; kept for the raw retention';
COMMENT ON COLUMN analytics_events.user_hash IS 'HMAC-SHA-256 of the user id; never the id';
COMMENT ON COLUMN analytics_events.activity_date IS 'The learner''s local day, by the offset of the timestamp that was sent';
COMMENT ON COLUMN analytics_events.entry_id IS 'The stream entry that stored the row: tells a redelivery from a duplicate';

CREATE FUNCTION analytics_uuid_floor(moment timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
COMMENT ON FUNCTION analytics_uuid_floor IS 'Lowest UUIDv7 of a moment';

CREATE FUNCTION analytics_ensure_partitions(from_moment timestamptz, to_moment timestamptz) RETURNS integer
    LANGUAGE plpgsql AS $$
DECLARE
    week    timestamptz := date_trunc('week', from_moment, 'UTC');
    name    text;
    created integer := 0;
BEGIN
    WHILE week <= to_moment LOOP
        name := 'analytics_events_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD');
        IF to_regclass(name) IS NULL THEN
            -- LIKE and ATTACH lock less than CREATE .. PARTITION OF: writers go on.
            EXECUTE format('CREATE TABLE %I (LIKE analytics_events INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE analytics_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           name, analytics_uuid_floor(week), analytics_uuid_floor(week + interval '7 days'));
            created := created + 1;
        END IF;
        week := week + interval '7 days';
    END LOOP;
    RETURN created;
END
$$;
COMMENT ON FUNCTION analytics_ensure_partitions IS 'Creates the missing weekly partitions between two moments; returns how many';

-- Ids mapped from other strings say nothing of time: one partition, pruned by small deletes.
CREATE TABLE analytics_events_reserved PARTITION OF analytics_events
    FOR VALUES FROM ('ffff0000-0000-0000-0000-000000000000') TO (MAXVALUE);

SELECT analytics_ensure_partitions(now() - interval '15 weeks', now() + interval '5 weeks');

-- Aggregates. Every column merges exactly and in any order; see storage/batches/rollups.py.

CREATE TABLE learning_sessions (
    user_hash            bytea       NOT NULL,
    session_id           uuid        NOT NULL,
    started_at           timestamptz NOT NULL,
    start_event_id       uuid        NOT NULL,
    activity_date        date        NOT NULL,
    last_event_at        timestamptz NOT NULL,
    ended_at             timestamptz,
    reported_duration_ms bigint,
    event_count          bigint      NOT NULL,
    PRIMARY KEY (user_hash, session_id)
) WITH (fillfactor = 80);
CREATE INDEX learning_sessions_learner_day ON learning_sessions (user_hash, activity_date);
COMMENT ON TABLE learning_sessions IS 'Sessions; one without ended_at is closed by silence, at last_event_at';
COMMENT ON COLUMN learning_sessions.activity_date IS 'Local day of the first event';

CREATE TABLE gamification_stats (
    user_hash            bytea       PRIMARY KEY,
    total_xp             bigint      NOT NULL,
    highest_level        integer,
    reported_streak_days integer,
    streak_reported_at   timestamptz,
    streak_event_id      uuid,
    event_count          bigint      NOT NULL,
    first_event_at       timestamptz NOT NULL,
    last_event_at        timestamptz NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE gamification_stats IS 'What a learner has gathered over all time';

CREATE TABLE learner_achievements (
    user_hash      bytea       NOT NULL,
    achievement_id text        NOT NULL COLLATE "C",
    earned_at      timestamptz NOT NULL,
    earn_event_id  uuid        NOT NULL,
    activity_date  date        NOT NULL,
    name           text,
    times_earned   bigint      NOT NULL,
    PRIMARY KEY (user_hash, achievement_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE learner_achievements IS 'Achievements, each at its first earning';

CREATE TABLE daily_activity_summary (
    user_hash           bytea  NOT NULL,
    activity_date       date   NOT NULL,
    activity_count      bigint NOT NULL,
    materials_viewed    bigint NOT NULL,
    materials_completed bigint NOT NULL,
    xp_earned           bigint NOT NULL,
    ai_messages         bigint NOT NULL,
    searches            bigint NOT NULL,
    PRIMARY KEY (user_hash, activity_date)
) WITH (fillfactor = 80);
COMMENT ON TABLE daily_activity_summary IS 'A learner''s day; it exists when the day was active';

CREATE TABLE ai_coach_metrics (
    user_hash            bytea   NOT NULL,
    activity_date        date    NOT NULL,
    messages_sent        bigint  NOT NULL,
    messages_received    bigint  NOT NULL,
    message_length_sum   bigint  NOT NULL,
    response_time_ms_sum bigint  NOT NULL,
    response_time_ms_max bigint,
    tokens_sum           bigint  NOT NULL,
    ratings_count        bigint  NOT NULL,
    ratings_sum          bigint  NOT NULL,
    PRIMARY KEY (user_hash, activity_date)
) WITH (fillfactor = 80);
COMMENT ON TABLE ai_coach_metrics IS 'A learner''s day with the AI coach; never a text';

CREATE TABLE active_users_hourly (
    hour           timestamptz NOT NULL,
    user_hash      bytea       NOT NULL,
    first_event_at timestamptz NOT NULL,
    last_event_at  timestamptz NOT NULL,
    PRIMARY KEY (hour, user_hash)
) WITH (fillfactor = 80);
COMMENT ON TABLE active_users_hourly IS 'Who did anything in an hour (UTC), for exact distinct counts';

CREATE TABLE hourly_event_counts (
    hour       timestamptz NOT NULL,
    event_type text        NOT NULL COLLATE "C",
    slot       smallint    NOT NULL,
    events     bigint      NOT NULL,
    xp         bigint      NOT NULL,
    PRIMARY KEY (hour, event_type, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE hourly_event_counts IS 'Events of an hour (UTC) by type; a slot per writer, summed when read';

CREATE TABLE system_errors (
    bucket_start timestamptz NOT NULL,
    endpoint     text        NOT NULL COLLATE "C",
    error_type   text        NOT NULL COLLATE "C",
    slot         smallint    NOT NULL,
    errors       bigint      NOT NULL,
    PRIMARY KEY (bucket_start, endpoint, error_type, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE system_errors IS 'api_error events of five minutes; a slot per writer, summed when read';

CREATE TABLE system_metrics (
    bucket_start   timestamptz NOT NULL,
    endpoint       text        NOT NULL COLLATE "C",
    latency_bucket smallint    NOT NULL,
    slot           smallint    NOT NULL,
    requests       bigint      NOT NULL,
    client_errors  bigint      NOT NULL,
    server_errors  bigint      NOT NULL,
    PRIMARY KEY (bucket_start, endpoint, latency_bucket, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE system_metrics IS 'api_request events of five minutes; a slot per writer, summed when read';
COMMENT ON COLUMN system_metrics.latency_bucket IS 'b holds 1.02^(b-1) < ms <= 1.02^b; 2*1.02^b/2.02 is within 1 % of each';

-- What raw events that retention has removed gave to each aggregate, so that a recompute is exact for ever.

CREATE SCHEMA retired;
COMMENT ON SCHEMA retired IS 'Contributions of raw events past their retention; a recompute merges them with what raw still holds';
CREATE TABLE retired.learning_sessions      (LIKE learning_sessions      INCLUDING ALL);
CREATE TABLE retired.gamification_stats     (LIKE gamification_stats     INCLUDING ALL);
CREATE TABLE retired.learner_achievements   (LIKE learner_achievements   INCLUDING ALL);
CREATE TABLE retired.daily_activity_summary (LIKE daily_activity_summary INCLUDING ALL);
CREATE TABLE retired.ai_coach_metrics       (LIKE ai_coach_metrics       INCLUDING ALL);
CREATE TABLE retired.active_users_hourly    (LIKE active_users_hourly    INCLUDING ALL);
CREATE TABLE retired.hourly_event_counts    (LIKE hourly_event_counts    INCLUDING ALL);
CREATE TABLE retired.system_errors          (LIKE system_errors          INCLUDING ALL);
CREATE TABLE retired.system_metrics         (LIKE system_metrics         INCLUDING ALL);

CREATE MATERIALIZED VIEW hourly_analytics_summary AS
WITH counts AS (
    SELECT hour,
           sum(events)                                                                           AS events,
           sum(events) FILTER (WHERE event_type NOT IN ('api_request', 'api_error'))             AS learner_events,
           sum(events) FILTER (WHERE event_type = 'session_start')                               AS sessions_started,
           sum(events) FILTER (WHERE event_type = 'material_view')                               AS materials_viewed,
           sum(events) FILTER (WHERE event_type = 'material_complete')                           AS materials_completed,
           sum(events) FILTER (WHERE event_type IN ('ai_message_sent', 'ai_message_received'))   AS ai_messages,
           sum(events) FILTER (WHERE event_type = 'search_query')                                AS searches,
           sum(events) FILTER (WHERE event_type = 'api_request')                                 AS api_requests,
           sum(events) FILTER (WHERE event_type = 'api_error')                                   AS api_errors,
           sum(xp)                                                                               AS xp_earned
    FROM hourly_event_counts
    WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
    GROUP BY hour
), active AS (
    SELECT hour, count(*) AS active_users
    FROM active_users_hourly
    WHERE hour >= date_trunc('hour', now() - interval '30 days', 'UTC')
    GROUP BY hour
)
SELECT hour,
       events::bigint                            AS events,
       coalesce(learner_events, 0)::bigint       AS learner_events,
       coalesce(sessions_started, 0)::bigint     AS sessions_started,
       coalesce(materials_viewed, 0)::bigint     AS materials_viewed,
       coalesce(materials_completed, 0)::bigint  AS materials_completed,
       coalesce(ai_messages, 0)::bigint          AS ai_messages,
       coalesce(searches, 0)::bigint             AS searches,
       coalesce(api_requests, 0)::bigint         AS api_requests,
       coalesce(api_errors, 0)::bigint           AS api_errors,
       xp_earned::bigint                         AS xp_earned,
       coalesce(active_users, 0)                 AS active_users
FROM counts LEFT JOIN active USING (hour);
CREATE UNIQUE INDEX hourly_analytics_summary_hour ON hourly_analytics_summary (hour);
COMMENT ON MATERIALIZED VIEW hourly_analytics_summary IS 'The last 30 days by hour (UTC), refreshed by maintenance';

-- Entries that became no event, and the books over all entries.

CREATE TABLE dead_letters (
    stream_partition smallint    NOT NULL,
    entry_id         text        NOT NULL COLLATE "C",
    event_id         uuid,
    reason           text        NOT NULL,
    detail           text        NOT NULL,
    payload          text        NOT NULL,
    parked_at        timestamptz NOT NULL DEFAULT now(),
    retried_at       timestamptz,
    PRIMARY KEY (stream_partition, entry_id)
);
CREATE INDEX dead_letters_waiting ON dead_letters (parked_at) WHERE retried_at IS NULL;
COMMENT ON TABLE dead_letters IS 'Stream entries that could not be stored, with the reason';
COMMENT ON COLUMN dead_letters.payload IS 'The fields of the entry as ASCII JSON';

CREATE TABLE erased_users (
    user_hash bytea       PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erased_users IS 'Tombstones: events of these learners are suppressed when they arrive';

CREATE TABLE settled_entries (
    stream_partition smallint NOT NULL,
    entry_id         text     NOT NULL COLLATE "C",
    outcome          text     NOT NULL CHECK (outcome IN ('duplicate', 'suppressed')),
    settled_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream_partition, entry_id)
);
COMMENT ON TABLE settled_entries IS 'Entries settled without a row of their own, so that a redelivery is not booked twice';

CREATE TABLE batch_books (
    stream_partition smallint NOT NULL,
    book_date        date     NOT NULL,
    slot             smallint NOT NULL,
    batches          bigint   NOT NULL,
    stored           bigint   NOT NULL,
    duplicate        bigint   NOT NULL,
    suppressed       bigint   NOT NULL,
    dead_lettered    bigint   NOT NULL,
    redelivered      bigint   NOT NULL,
    PRIMARY KEY (stream_partition, book_date, slot)
) WITH (fillfactor = 50);
COMMENT ON TABLE batch_books IS 'Fate of every entry: appended = stored + duplicate + suppressed + dead_lettered + in flight';
