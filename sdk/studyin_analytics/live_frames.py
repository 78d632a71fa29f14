"""What a bus is told by whatever it listens to, and how a WebSocket writes it."""

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
    """The beginning. `cursor` is where a subscriber starts who had not said where."""

    cursor: int
    heartbeat_seconds: float


@dataclass(frozen=True)
class Events:
    """Events, oldest first. There is nothing more for this subscriber up to `cursor`."""

    events: Sequence[LiveEvent]
    cursor: int


@dataclass(frozen=True)
class Gap:
    """Events before `cursor` are lost to this subscriber: nobody keeps them any more."""

    cursor: int
    reason: str


@dataclass(frozen=True)
class Behind:
    """Events come faster than this subscriber takes them; none is left out."""


Frame = Welcome | Events | Gap | Behind


class Disconnected(Exception):
    """The connection ended or was not made; the message says why. Another may do."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds that were asked for."""


class WrongService(Disconnected):
    """Whatever answers there did not offer a WebSocket, and did not say that it is busy."""

    def __init__(self, status: int, retry_after: float = 0.0) -> None:
        super().__init__(f"status {status}: is this the URL of the read service?", retry_after)
        self.status = status


class Source(Protocol):
    """Something to listen to."""

    def listen(self, types: frozenset[str] | None, after: int | None) -> AsyncGenerator[Frame, None]:
        """Give the events of these types, of all for None, that come behind an id, over one connection.

        From now on for None. Raises Disconnected and SubscriptionRefused; ends only so.
        """
        ...


class _Message(BaseModel):
    type: str
    cursor: int = 0
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    reason: str = ""
    events: list[dict[str, Any]] = Field(default_factory=list)


def read_frame(text: str | bytes) -> Frame | None:
    """Return what a WebSocket says, None for what this version does not know. Raises Disconnected for other text."""
    try:
        with NO_FORK:
            message = _Message.model_validate_json(text)
    except ValidationError:
        raise Disconnected("a frame cannot be read") from None
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
    """Return the events of messages; one that is not as the contract has it is logged and left out."""
    events = []
    for document in documents:
        try:
            with NO_FORK:
                events.append(event_of(document))
        except ValueError:
            LOGGER.warning("a message cannot be read: is this SDK older than the service?")
    return events
