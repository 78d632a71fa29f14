"""For the tests of services that track: a tracker that keeps what it would have sent, judged as ingest judges it."""

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
    """Accepts everything. `events` has them as ingest would get them, in order, once they are flushed."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Keep the events of a batch, and accept them."""
        content = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        events = json.loads(content)["events"]
        self.events += events
        results = [{"index": index, "event_id": None, "status": "accepted"} for index in range(len(events))]
        reply = {"received": len(events), "accepted": len(events), "rejected": 0, "results": results}
        return Reply(202, None, json.dumps(reply).encode())

    def close(self) -> None:
        """Do nothing."""


def recording_tracker(**options: Unpack[OptionKeywords]) -> tuple[AnalyticsTracker, RecordingTransport]:
    """Return a tracker that raises InvalidEvent for a wrong call, and what records its events."""
    transport = RecordingTransport()
    keywords: OptionKeywords = {"strict": True, **options}
    return AnalyticsTracker(transport=transport, **keywords), transport


def recording_sync_tracker(**options: Unpack[OptionKeywords]) -> tuple[SyncAnalyticsTracker, RecordingTransport]:
    """Return the same to be called instead of awaited."""
    transport = RecordingTransport()
    keywords: OptionKeywords = {"strict": True, **options}
    return SyncAnalyticsTracker(transport=transport, **keywords), transport
