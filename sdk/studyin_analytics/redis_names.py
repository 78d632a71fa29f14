"""The names in Redis that live events are found by; a test holds them to those of the pipeline."""

from __future__ import annotations

from typing import Final

CHANNEL_PREFIX: Final = "analytics:"
"""Of the pub/sub channel of a type of event."""

TIMELINE: Final = "analytics:timeline"
"""Sorted set of the newest messages of all types, by their ids."""

LIVE_STATE: Final = "analytics:live"
"""Hash: `last`, the id of the newest message; `floor`, the id up to which messages may have left the timeline."""
