"""Frames of live events, for WebSockets and Server-Sent Events. Pure.

A frame is built once and sent to all subscribers with the same cursor and filter. The JSON of its messages is joined
without being parsed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, Protocol

from dashboard.live.ring import RingMessage, Selection
from schemas.live import FrameType

RETRY: Final = b"retry: 2000\n\n"
"""Start of a stream: milliseconds until a browser reconnects."""


class Frame(Protocol):
    """One frame."""

    @property
    def text(self) -> str:
        """The text of a WebSocket message."""

    @property
    def event(self) -> bytes:
        """The Server-Sent Events."""

    @property
    def messages(self) -> Sequence[RingMessage]:
        """The messages of the frame."""


class Events:
    """A frame of messages."""

    def __init__(self, selection: Selection) -> None:
        self.messages, self._cursor = selection

    @cached_property
    def text(self) -> str:
        """The text of a WebSocket message."""
        joined = b",".join([message.text for message in self.messages])
        return f'{{"type":"events","events":[{joined.decode()}],"cursor":"{self._cursor}"}}'

    @cached_property
    def event(self) -> bytes:
        """The Server-Sent Events, one for each message."""
        return b"".join(
            [
                b"id: %d\nevent: %s\ndata: %s\n\n" % (head.id, head.event_type.encode(), text)
                for head, text in self.messages
            ]
        )


class Notice:
    """A frame from the service itself."""

    messages: Sequence[RingMessage] = ()

    def __init__(self, kind: FrameType | Literal["expired"], cursor: int, facts: Mapping[str, Any]) -> None:
        """`facts` are the other fields of the JSON."""
        self._kind = kind
        self._cursor = cursor
        self._facts = facts

    @property
    def text(self) -> str:
        """The text of a WebSocket message."""
        return json.dumps({"type": self._kind, **self._facts}, separators=(",", ":"))

    @property
    def event(self) -> bytes:
        """The Server-Sent Event."""
        return f"id: {self._cursor}\nevent: {self._kind}\ndata: {self.text}\n\n".encode()


def welcome(cursor: int, heartbeat_seconds: float) -> Notice:
    """Return the first frame: the cursor of the subscriber, and the maximum time between frames."""
    return Notice("welcome", cursor, {"cursor": str(cursor), "heartbeat_seconds": heartbeat_seconds})


def heartbeat(cursor: int) -> Notice:
    """Return a heartbeat with the cursor of the subscriber."""
    return Notice("heartbeat", cursor, {"cursor": str(cursor)})


def behind(cursor: int) -> Notice:
    """Return the notice that the subscriber is slow: the next events are not new."""
    return Notice("behind", cursor, {})


def resync_required(cursor: int) -> Notice:
    """Return the notice that events before the next ones are missing."""
    return Notice("resync_required", cursor, {"cursor": str(cursor), "reason": "history_gone"})


def expired(cursor: int) -> Notice:
    """Return the notice that the credentials of a stream have expired. A WebSocket has a close code for it."""
    return Notice("expired", cursor, {})
