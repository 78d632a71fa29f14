"""Every key and every reader of a stream of this system in Redis."""

from __future__ import annotations

from typing import Final, NamedTuple

STORE_GROUP: Final = "store"
"""Consumer group of the workers that write to Postgres."""

LIVE_GROUP: Final = "live"
"""The workers that publish live events, as readers of a stream. In the release before they were a consumer group."""

TIMELINE: Final = "analytics:timeline"
"""Sorted set of the newest live messages of all types, scored by their ids."""

LIVE_EVENTS: Final = "analytics:live:events"
"""Sorted set of the ids of recently published events, 16 bytes each, scored by the ids of their messages."""

LIVE_STATE: Final = "analytics:live"
"""Hash: `last`, the id of the newest live message; `floor`, the id up to which messages may have left the timeline.

`partitions`, the number of partitions: with several, each has keys of its own (`live_keys`).
"""

API_KEYS: Final = "analytics:api_keys"
"""The valid issued API keys, as one JSON document with digests only."""

TOMBSTONES: Final = "analytics:erased_users"
"""Pseudonyms of all learners who are erased, 32 bytes each."""

KEY_CHANGES: Final = "analytics:pseudonym_keys"
"""Hash by version of each pseudonym key that replaced another: Unix milliseconds of the first event with the key."""

UNMAPPED: Final = "analytics:segment:unmapped"
"""Hash by unmapped event name of Segment clients: the count and the Unix time of the last use."""

CHORES: Final = "analytics:chores"
"""The chores of the leading maintenance process with their last runs, as one JSON document that expires."""

PROBE: Final = "analytics:probe"
"""Key that `analytics doctor` writes to test confirmations; it expires."""


def history_key(event_type: str) -> str:
    """Return the key of the list of the newest live messages of a type, newest first; see `live_keys`."""
    return f"analytics:history:{event_type}"


def channel(event_type: str) -> str:
    """Return the pub/sub channel of a type."""
    return f"analytics:{event_type}"


def stream_key(partition: int) -> str:
    """Return the key of the stream of a partition. The braces are the hash tag for a Redis cluster."""
    return f"analytics:events:{{{partition}}}"


def removals_key(partition: int) -> str:
    """Return the key of the hash that tells erased entries of a partition from trimmed ones (`remove_entries.lua`)."""
    return f"{stream_key(partition)}:removals"


class LiveKeys(NamedTuple):
    """The keys of the live messages of a partition. With several partitions they have its hash tag."""

    timeline: str
    state: str
    events: str
    tag: str

    def history(self, event_type: str) -> str:
        """Return the key of the history of a type."""
        return f"{history_key(event_type)}{self.tag}"


def live_keys(partition: int, partitions: int) -> LiveKeys:
    """Return the keys of the live messages of a partition of a system with `partitions`."""
    if partitions == 1:
        return LiveKeys(TIMELINE, LIVE_STATE, LIVE_EVENTS, "")
    tag = f":{{{partition}}}"
    return LiveKeys(f"{TIMELINE}{tag}", f"{LIVE_STATE}{tag}", f"{LIVE_STATE}{tag}:events", tag)


def live_cursor_key(partition: int) -> str:
    """Return the key of the hash of the live workers of a partition.

    `cursor`, the id of the last entry that was published or passed over; `read`, the number of entries appended up to
    it; `leader`, the name of the worker that leads; `until`, when its lease ends, in Unix milliseconds.
    """
    return f"{stream_key(partition)}:live"
