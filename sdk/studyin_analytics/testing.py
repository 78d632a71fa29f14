"""Test support for services: a tracker that records its events instead of sending them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .trackers import AnalyticsTracker, SyncAnalyticsTracker
from .transport import Reply

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import OptionKeywords


class RecordingTransport:
    """Accepts all events. After a flush `events` has them in order, as ingest would receive them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Record the events of a batch and accept them."""
        content = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        events = json.loads(content)["events"]
        self.events += events
        results = [{"index": index, "event_id": None, "status": "accepted"} for index in range(len(events))]
        reply = {"received": len(events), "accepted": len(events), "rejected": 0, "results": results}
        return Reply(202, None, json.dumps(reply).encode())

    def close(self) -> None:
        """Do nothing."""


def recording_tracker(**options: Unpack[OptionKeywords]) -> tuple[AnalyticsTracker, RecordingTransport]:
    """Return a tracker that raises InvalidEvent for an invalid call, and the transport that records its events."""
    transport = RecordingTransport()
    keywords: OptionKeywords = {"strict": True, **options}
    return AnalyticsTracker(transport=transport, **keywords), transport


def recording_sync_tracker(**options: Unpack[OptionKeywords]) -> tuple[SyncAnalyticsTracker, RecordingTransport]:
    """Return the synchronous counterpart of `recording_tracker`."""
    transport = RecordingTransport()
    keywords: OptionKeywords = {"strict": True, **options}
    return SyncAnalyticsTracker(transport=transport, **keywords), transport
