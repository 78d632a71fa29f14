"""Redis names of live events. A test compares them with those of the pipeline."""

from __future__ import annotations

from typing import Final

CHANNEL_PREFIX: Final = "analytics:"
"""Prefix of the pub/sub channel of an event type."""

TIMELINE: Final = "analytics:timeline"
"""Sorted set of the newest messages of all types, with their ids as scores."""

LIVE_STATE: Final = "analytics:live"
"""Hash with `last`, the id of the newest message, and `floor`, the id up to which the timeline may be trimmed.

`partitions`: the number of partitions; with several, each has names of its own.
"""


def live_names(partition: int, partitions: int) -> tuple[str, str]:
    """Return the timeline and the state of a partition."""
    tag = "" if partitions == 1 else f":{{{partition}}}"
    return TIMELINE + tag, LIVE_STATE + tag
