"""Every key and group this system has in Redis."""

from __future__ import annotations

from typing import Final

STORE_GROUP: Final = "store"
"""Consumer group of the workers that write to Postgres."""

LIVE_GROUP: Final = "live"
"""Consumer group of the workers that publish."""

TIMELINE: Final = "analytics:timeline"
"""Sorted set of the newest live messages of all types, by their ids."""

LIVE_EVENTS: Final = "analytics:live:events"
"""Sorted set of the ids of the events that were published last, 16 bytes each, by the ids of their messages."""

LIVE_STATE: Final = "analytics:live"
"""Hash: `last`, the id of the newest live message; `floor`, the id up to which messages may have left the timeline."""

API_KEYS: Final = "analytics:api_keys"
"""The issued API keys in force, as one JSON document; digests only."""

TOMBSTONES: Final = "analytics:erased_users"
"""Pseudonyms of all learners who are erased, 32 bytes each."""

KEY_CHANGES: Final = "analytics:pseudonym_keys"
"""Hash: from when on (Unix milliseconds) events came under each key of pseudonyms that replaced another."""

UNMAPPED: Final = "analytics:segment:unmapped"
"""Hash: how often, and when last, Segment's senders used a name that stands for nothing."""

PROBE: Final = "analytics:probe"
"""Written by `analytics doctor` to see how the server confirms; it expires."""


def history_key(event_type: str) -> str:
    """Return the list of the newest live messages of a type, newest first."""
    return f"analytics:history:{event_type}"


def channel(event_type: str) -> str:
    """Return the pub/sub channel of a type."""
    return f"analytics:{event_type}"


def stream_key(partition: int) -> str:
    """Return the stream of a partition; the braces put each partition, whole, on one node of a cluster."""
    return f"analytics:events:{{{partition}}}"
