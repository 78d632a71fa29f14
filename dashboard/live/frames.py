"""What subscribers are sent, in the form of WebSocket and in that of Server-Sent Events. Pure.

A frame is made once and sent to everybody who stands at the same place: the texts of its messages are joined as they
are, never read and written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, Protocol

from dashboard.live.ring import RingMessage, Selection
from schemas.live import FrameType

RETRY: Final = b"retry: 2000\n\n"
"""First thing of an SSE stream: milliseconds until a browser comes back by itself."""


class Frame(Protocol):
    """Something to send."""

    @property
    def text(self) -> str:
        """As the text of a WebSocket message."""

    @property
    def event(self) -> bytes:
        """As Server-Sent Events."""

    @property
    def messages(self) -> Sequence[RingMessage]:
        """The messages it carries."""


class Events:
    """Messages."""

    def __init__(self, selection: Selection) -> None:
        self.messages, self._cursor = selection

    @cached_property
    def text(self) -> str:
        """As the text of a WebSocket message."""
        joined = b",".join([message.text for message in self.messages])
        return f'{{"type":"events","events":[{joined.decode()}],"cursor":"{self._cursor}"}}'

    @cached_property
    def event(self) -> bytes:
        """As Server-Sent Events, one for each message."""
        return b"".join(
            [
                b"id: %d\nevent: %s\ndata: %s\n\n" % (head.id, head.event_type.encode(), text)
                for head, text in self.messages
            ]
        )


class Notice:
    """Something said by the service itself."""

    messages: Sequence[RingMessage] = ()

    def __init__(self, kind: FrameType | Literal["expired"], cursor: int, facts: Mapping[str, Any]) -> None:
        """`facts` are the other fields of the JSON."""
        self._kind = kind
        self._cursor = cursor
        self._facts = facts

    @property
    def text(self) -> str:
        """As the text of a WebSocket message."""
        return json.dumps({"type": self._kind, **self._facts}, separators=(",", ":"))

    @property
    def event(self) -> bytes:
        """As a Server-Sent Event."""
        return f"id: {self._cursor}\nevent: {self._kind}\ndata: {self.text}\n\n".encode()


def welcome(cursor: int, heartbeat_seconds: float) -> Notice:
    """Return the first frame: from where on the subscriber gets events, and how long it may be left in silence."""
    return Notice("welcome", cursor, {"cursor": str(cursor), "heartbeat_seconds": heartbeat_seconds})


def heartbeat(cursor: int) -> Notice:
    """Return a sign of life: how far the subscriber has seen."""
    return Notice("heartbeat", cursor, {"cursor": str(cursor)})


def behind(cursor: int) -> Notice:
    """Tell a subscriber that it is slow: what comes next is no news."""
    return Notice("behind", cursor, {})


def resync_required(cursor: int) -> Notice:
    """Tell a subscriber that there is a gap before what comes next."""
    return Notice("resync_required", cursor, {"cursor": str(cursor), "reason": "history_gone"})


def expired(cursor: int) -> Notice:
    """Tell a subscriber of an SSE stream that its credentials have ended; a WebSocket says it in its close code."""
    return Notice("expired", cursor, {})
