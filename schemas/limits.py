"""How much one sender may say at once, and how far from now it may speak."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MAX_EVENT_BYTES: Final = 32 * 1024
"""Size of one event as JSON."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Size of a request body, on the wire and inflated."""

MAX_BATCH_EVENTS: Final = 2_500

MAX_DEPTH: Final = 10
"""Nesting of objects and arrays inside one event."""

FUTURE_TOLERANCE: Final = timedelta(minutes=10)
"""How far ahead of the server a sender's clock may run."""
