"""The table of the peer: the columns and indexes of `analytics_events`, without partitions."""

from __future__ import annotations

from typing import Final

STREAM: Final = "peer:events"
GROUP: Final = "peer"

CREATE: Final = """
DROP TABLE IF EXISTS peer_events;
CREATE TABLE peer_events (
    event_id      text        PRIMARY KEY,
    event_type    text        NOT NULL,
    user_hash     bytea,
    session_id    uuid,
    occurred_at   timestamptz NOT NULL,
    received_at   timestamptz NOT NULL,
    activity_date date        NOT NULL,
    properties    jsonb       NOT NULL
);
CREATE INDEX ON peer_events (occurred_at);
CREATE INDEX ON peer_events (user_hash, occurred_at) WHERE user_hash IS NOT NULL;
CREATE INDEX ON peer_events USING gin (properties jsonb_path_ops);
"""

INSERT: Final = """
INSERT INTO peer_events
    (event_id, event_type, user_hash, session_id, occurred_at, received_at, activity_date, properties)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (event_id) DO NOTHING
"""
