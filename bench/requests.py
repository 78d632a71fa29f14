"""Requests with realistic events, created before the measurement and never sent twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cli.demo.traffic import demo_events
from schemas.catalogue import EventType

MARK: Final = b"5eed5eed"
"""The end of every event id. A sender replaces it with another number: fresh ids at the cost of one `replace`."""

TRACK: Final = "/api/analytics/events/track"
BATCH: Final = "/api/analytics/events/batch"


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests to one path."""

    path: str
    bodies: Sequence[bytes]
    events_each: int
    good: str = "202"

    def encoded(self, host: str, key: str) -> list[bytes]:
        """Return the bytes of each request."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
            "content-type: application/json\r\ncontent-length: "
        )
        return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in self.bodies]


def events(count: int) -> list[dict[str, Any]]:
    """Return demo events of all types, of 10,000 learners and the last day, 5 % of them repeated."""
    mark = MARK.decode()
    made = [
        event | {"event_id": event["event_id"][: -len(mark)] + mark}
        for event in demo_events(seed=1, users=10_000, count=count, now=datetime.now(UTC), history_days=1)
    ]
    assert {event["event_type"] for event in made} == set(EventType)
    return made


def single(made: Sequence[dict[str, Any]]) -> Requests:
    """Return one request per event."""
    return Requests(TRACK, [_body(event) for event in made], 1)


def batches(made: Sequence[dict[str, Any]], size: int = 100, path: str = BATCH) -> Requests:
    """Return requests of `size` events each. A remainder is left out."""
    whole = range(0, len(made) - size + 1, size)
    return Requests(path, [_body(made[start : start + size]) for start in whole], size)


def _body(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
