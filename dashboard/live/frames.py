"""Frames of live events, for WebSockets and Server-Sent Events. Pure.

A frame is built once and sent to all subscribers with the same position and filter. The JSON of its messages is joined
without being parsed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, Protocol

from dashboard.live.ring import RingMessage, Selection
from schemas.live import FrameType
from schemas.live_cursor import Position, cursor_of

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
    """A frame of messages after a position."""

    def __init__(self, after: Position, selection: Selection) -> None:
        self._after = after
        self.messages, self._position = selection

    @cached_property
    def text(self) -> str:
        """The text of a WebSocket message."""
        texts = [text for _, text in self._sent] if self._is_of_several else [one.text for one in self.messages]
        joined = b",".join(texts)
        return f'{{"type":"events","events":[{joined.decode()}],"cursor":"{cursor_of(self._position)}"}}'

    @cached_property
    def event(self) -> bytes:
        """The Server-Sent Events, one for each message."""
        return b"".join(
            [
                b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor, message.head.event_type.encode(), text)
                for message, (cursor, text) in zip(self.messages, self._sent, strict=True)
            ]
        )

    @property
    def _is_of_several(self) -> bool:
        return len(self._after) > 1

    @cached_property
    def _sent(self) -> list[tuple[bytes, bytes]]:
        """The cursor after each message, and the message with this cursor as its id."""
        if not self._is_of_several:
            return [(b"%d" % message.head.id, message.text) for message in self.messages]
        position, sent = list(self._after), []
        for message in self.messages:
            position[message.partition] = message.head.id
            cursor = cursor_of(tuple(position)).encode()
            sent.append((cursor, b'{"id":"%s",%s' % (cursor, message.text.partition(b",")[2])))
        return sent


class Notice:
    """A frame from the service itself."""

    messages: Sequence[RingMessage] = ()

    def __init__(self, kind: FrameType | Literal["expired"], cursor: str, facts: Mapping[str, Any]) -> None:
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


def welcome(cursor: str, heartbeat_seconds: float) -> Notice:
    """Return the first frame: the cursor of the subscriber, and the maximum time between frames."""
    return Notice("welcome", cursor, {"cursor": cursor, "heartbeat_seconds": heartbeat_seconds})


def heartbeat(cursor: str) -> Notice:
    """Return a heartbeat with the cursor of the subscriber."""
    return Notice("heartbeat", cursor, {"cursor": cursor})


def behind(cursor: str) -> Notice:
    """Return the notice that the subscriber is slow: the next events are not new."""
    return Notice("behind", cursor, {})


def resync_required(cursor: str) -> Notice:
    """Return the notice that events before the next ones are missing."""
    return Notice("resync_required", cursor, {"cursor": cursor, "reason": "history_gone"})


def expired(cursor: str) -> Notice:
    """Return the notice that the credentials of a stream have expired. A WebSocket has a close code for it."""
    return Notice("expired", cursor, {})
