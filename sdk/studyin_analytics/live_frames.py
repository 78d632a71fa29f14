"""The frames that a bus receives from a source, and their WebSocket form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, Field, ValidationError

from .hooks import LOGGER
from .no_fork import NO_FORK
from .schemas.live import HEARTBEAT_SECONDS, LiveEvent, event_of


@dataclass(frozen=True)
class Welcome:
    """Start of a connection. `cursor` is the position of a subscriber that gave no `after`."""

    cursor: str
    heartbeat_seconds: float


@dataclass(frozen=True)
class Events:
    """Events, oldest first. The subscriber has received everything up to `cursor`."""

    events: Sequence[LiveEvent]
    cursor: str


@dataclass(frozen=True)
class Gap:
    """Events before `cursor` are lost for this subscriber, because the history no longer has them."""

    cursor: str
    reason: str


@dataclass(frozen=True)
class Behind:
    """Events arrive faster than this subscriber reads them. None is lost."""


Frame = Welcome | Events | Gap | Behind


class Disconnected(Exception):
    """A connection failed or ended, for the reason in the message. Another may succeed."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Delay that the server requested, in seconds."""


class WrongService(Disconnected):
    """The server at the URL offers no WebSocket and is not busy."""

    def __init__(self, status: int, retry_after: float = 0.0) -> None:
        super().__init__(f"status {status}: is this the URL of the read service?", retry_after)
        self.status = status


class Source(Protocol):
    """A source of live events."""

    def listen(self, types: frozenset[str] | None, after: str | None) -> AsyncGenerator[Frame, None]:
        """Yield the frames of one connection, with events of these types; None for all types.

        Starts after the cursor `after`; None for new events only. Ends only by Disconnected or SubscriptionRefused.
        """
        ...


class _Message(BaseModel):
    type: str
    cursor: str = ""
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    reason: str = ""
    events: list[dict[str, Any]] = Field(default_factory=list)


def read_frame(text: str | bytes) -> Frame | None:
    """Return the frame of a WebSocket message, or None for an unknown type. Raises Disconnected if it is unreadable."""
    try:
        with NO_FORK:
            message = _Message.model_validate_json(text)
    except ValidationError:
        raise Disconnected("unreadable frame") from None
    match message.type:
        case "welcome":
            return Welcome(message.cursor, message.heartbeat_seconds)
        case "events":
            return Events(readable(message.events), message.cursor)
        case "heartbeat":
            return Events([], message.cursor)
        case "resync_required":
            return Gap(message.cursor, message.reason)
        case "behind":
            return Behind()
        case _:
            return None


def readable(documents: Sequence[dict[str, Any]]) -> list[LiveEvent]:
    """Return the valid events. Invalid ones are logged and skipped."""
    events = []
    for document in documents:
        try:
            with NO_FORK:
                events.append(event_of(document))
        except ValueError:
            LOGGER.warning("skipped an unreadable message; check that this SDK is not older than the service")
    return events
