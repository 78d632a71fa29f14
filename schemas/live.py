"""Live messages: the form in which events are published, kept in history and sent to subscribers.

A message is one JSON object: `id`, `event_type`, then the other fields of the stored event, with `properties` nested.
Publishing assigns the id: microseconds of Redis' clock in decimal digits, greater than the id of every earlier message
of its partition. With several partitions it also has `partition`, and subscribers get it with a cursor as its id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .access import SOURCE_NAME
from .catalogue import CATALOGUE, coach, gamification, learning, platform
from .entry import MalformedEntry, WireEvent

MAX_FRAME_EVENTS: Final = 500
"""Maximum number of messages in one frame."""

MAX_CURSOR: Final = 10_000
"""Maximum length of a cursor: enough for 1,024 partitions. With ten it has about 60 characters."""

HEARTBEAT_SECONDS: Final = 15
"""Maximum time between two frames of a subscriber."""

FrameType = Literal["welcome", "events", "heartbeat", "behind", "resync_required"]

CREDENTIALS_ENDED: Final = 4401
"""Close code of a WebSocket whose token expired or whose key was revoked."""


_SOURCE_NAME: Final = re.compile(SOURCE_NAME)
_HEAD: Final = re.compile(rb'\{"id":"(\d+)","event_type":"([a-z0-9_]+)","user_hash":(?:null|"([0-9a-f]{64})"),')


class MessageHead(NamedTuple):
    """The fields that filters use, at the start of a message."""

    id: int
    event_type: str
    user_hash: str | None


def head_of(message: bytes) -> MessageHead | None:
    """Return the head of a message; None when the text is not a message."""
    found = _HEAD.match(message)
    if found is None:
        return None
    identity, event_type, user_hash = found.groups()
    return MessageHead(int(identity), event_type.decode(), user_hash.decode() if user_hash else None)


def message_tail(event: WireEvent) -> str:
    """Return the message of an event without its start, `{"id":"...",`, which publishing adds.

    Raises MalformedEntry for properties or a source that ingest does not accept: they could break the frame that holds
    the message, or put personal data into history.
    """
    properties = _properties(event)
    user_hash = f'"{event.user_hash}"' if event.user_hash else "null"
    session_id = f'"{event.session_id}"' if event.session_id else "null"
    return (
        f'"event_type":"{event.event_type}","user_hash":{user_hash},"event_id":"{event.event_id}",'
        f'"session_id":{session_id},"occurred_at":"{event.occurred_at}",'
        f'"received_at":"{event.received_at}","activity_date":"{event.activity_date}",'
        f'"schema_version":{event.schema_version},"source":"{event.source}","properties":{properties}}}'
    )


def _properties(event: WireEvent) -> str:
    if not _SOURCE_NAME.fullmatch(event.source):
        raise MalformedEntry("invalid_field", "the source is not a name of a service")
    try:
        # serialized again: a line break in the text would end the event of a text/event-stream
        return CATALOGUE[event.event_type].properties.model_validate_json(event.properties).to_json()
    except ValidationError:
        raise MalformedEntry("invalid_field", "the properties are not those of this type") from None


class LiveEvent(BaseModel):
    """An event as a subscriber receives it, with its properties as attributes. Unknown fields are ignored."""

    model_config = ConfigDict(strict=False, extra="ignore", frozen=True)

    id: str = Field(description="Cursor after the message: subscribe with it to resume there.")
    event_type: str
    event_id: UUID
    user_hash: str | None = Field(description="Pseudonym of the learner, hexadecimal; None without a learner.")
    session_id: UUID | None
    occurred_at: datetime
    received_at: datetime
    activity_date: date = Field(description="The learner's local day.")
    schema_version: int
    service: str = Field(description="Name of the service that sent it.")


class UnknownEvent(LiveEvent):
    """An event of a type that this release does not have."""

    properties: dict[str, Any]


# One class per type, so that applications can annotate their handlers; a test compares them with the catalogue.
class SessionStartEvent(learning.SessionStartProperties, LiveEvent): ...


class SessionEndEvent(learning.SessionEndProperties, LiveEvent): ...


class MaterialViewEvent(learning.MaterialViewProperties, LiveEvent): ...


class MaterialCompleteEvent(learning.MaterialCompleteProperties, LiveEvent): ...


class XpEarnedEvent(gamification.XpEarnedProperties, LiveEvent): ...


class LevelUpEvent(gamification.LevelUpProperties, LiveEvent): ...


class AchievementEarnedEvent(gamification.AchievementEarnedProperties, LiveEvent): ...


class StreakUpdateEvent(gamification.StreakUpdateProperties, LiveEvent): ...


class AiMessageSentEvent(coach.AiMessageSentProperties, LiveEvent): ...


class AiMessageReceivedEvent(coach.AiMessageReceivedProperties, LiveEvent): ...


class AiFeedbackRatedEvent(coach.AiFeedbackRatedProperties, LiveEvent): ...


class ApiRequestEvent(platform.ApiRequestProperties, LiveEvent): ...


class ApiErrorEvent(platform.ApiErrorProperties, LiveEvent): ...


class SearchQueryEvent(learning.SearchQueryProperties, LiveEvent): ...


_LIVE_EVENTS: Final[Mapping[str, type[LiveEvent]]] = {
    kind.name: model
    for kind in CATALOGUE.values()
    for model in LiveEvent.__subclasses__()
    if kind.properties in model.__bases__
}
_OBJECT: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])


def parse_message(message: bytes | str) -> LiveEvent:
    """Return the event of a message; an UnknownEvent for an unknown type. Raises ValueError."""
    return event_of(_OBJECT.validate_json(message))


def event_of(document: Mapping[str, Any]) -> LiveEvent:
    """Return the event of a parsed message, as `parse_message` does. Raises ValueError."""
    fields = dict(document)
    properties = fields.pop("properties", {})
    service = fields.pop("source", None)
    if document.get("event_type") not in _LIVE_EVENTS:
        return UnknownEvent.model_validate(fields | {"properties": properties, "service": service})
    return _LIVE_EVENTS[document["event_type"]].model_validate(properties | fields | {"service": service})
