"""Every key and group this system has in Redis."""

from __future__ import annotations

from typing import Final

STORE_GROUP: Final = "store"
"""Consumer group of the workers that write to Postgres."""

API_KEYS: Final = "analytics:api_keys"
"""The issued API keys in force, as one JSON document; digests only."""

TOMBSTONES: Final = "analytics:erased_users"
"""Pseudonyms of all learners who are erased, 32 bytes each."""

PROBE: Final = "analytics:probe"
"""Written by `analytics doctor` to see how the server confirms; it expires."""


def stream_key(partition: int) -> str:
    """Return the stream of a partition; the braces put each partition, whole, on one node of a cluster."""
    return f"analytics:events:{{{partition}}}"
