"""Limits of one request, and of the clock of a sender."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

MAX_EVENT_BYTES: Final = 32 * 1024
"""Maximum size of one event as JSON."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Maximum size of a request body, both as sent and inflated."""

MAX_BATCH_EVENTS: Final = 2_500
"""Maximum number of events of one request."""

MAX_DEPTH: Final = 10
"""Maximum nesting of objects and arrays in one event."""

FUTURE_TOLERANCE: Final = timedelta(minutes=10)
"""Maximum time by which the timestamp of an event may be ahead of the server's clock."""
