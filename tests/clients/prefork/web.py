"""A web application that gunicorn loads before it forks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from studyin_analytics import SyncAnalyticsTracker

# an hour, so that events are sent only because the process ends
tracker = SyncAnalyticsTracker(os.environ["ANALYTICS_INGEST_URL"], write_key="key", flush_interval=3600)
tracker.track_xp_earned(user_id="master", xp_amount=1)


def app(_environ: object, start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Answer a request and track it."""
    tracker.track_xp_earned(user_id="request", xp_amount=1)
    start_response("204 No Content", [])
    return []
