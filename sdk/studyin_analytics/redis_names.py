"""Redis names of live events. A test compares them with those of the pipeline."""

from __future__ import annotations

from typing import Final

CHANNEL_PREFIX: Final = "analytics:"
"""Prefix of the pub/sub channel of an event type."""

TIMELINE: Final = "analytics:timeline"
"""Sorted set of the newest messages of all types, with their ids as scores."""

LIVE_STATE: Final = "analytics:live"
"""Hash with `last`, the id of the newest message, and `floor`, the id up to which the timeline may be trimmed."""
