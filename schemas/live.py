"""The live form of an event: what is published, kept in history, and sent to subscribers.

A message is one JSON object: `id`, `event_type`, then the other fields of the stored event, `properties` nested. Its id
is given when it is published: microseconds of Redis' clock, made to grow with every message, as decimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from . import properties as typed
from .access import SOURCE_NAME
from .event_types import EventType
from .events import PROPERTIES
from .stream_entry import MalformedEntry, WireEvent

MAX_FRAME_EVENTS: Final = 500
"""Most messages of one frame."""

HEARTBEAT_SECONDS: Final = 15
"""Longest a subscriber is left without any frame."""

FrameType = Literal["welcome", "events", "heartbeat", "behind", "resync_required"]

CREDENTIALS_ENDED: Final = 4401
"""Close code of a WebSocket whose token expired or whose key was revoked: come back with a new one."""


_SOURCE_NAME: Final = re.compile(SOURCE_NAME)
_HEAD: Final = re.compile(rb'\{"id":"(\d+)","event_type":"([a-z0-9_]+)","user_hash":(?:null|"([0-9a-f]{64})"),')


class MessageHead(NamedTuple):
    """What is asked of a message most often; read off its beginning, where `message_tail` puts it."""

    id: int
    event_type: str
    user_hash: str | None


def head_of(message: bytes) -> MessageHead | None:
    """Return the head of a message; None when it is not one of ours."""
    found = _HEAD.match(message)
    if found is None:
        return None
    identity, event_type, user_hash = found.groups()
    return MessageHead(int(identity), event_type.decode(), user_hash.decode() if user_hash else None)


def message_tail(event: WireEvent) -> str:
    """Return the message of an event but for its beginning, `{"id":"...",`, which is made when it is published.

    Raises MalformedEntry for properties or a service that ingest would not have let in: a message stands among others
    in one frame, and is kept where nothing personal may be.
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
        raise MalformedEntry("invalid_field", "the source is no name of a service")
    try:
        # written anew: as it came it may have line breaks, which end an event of a text/event-stream
        return PROPERTIES[event.event_type].model_validate_json(event.properties).to_json()
    except ValidationError:
        raise MalformedEntry("invalid_field", "the properties are not those of this type") from None


class LiveEvent(BaseModel):
    """An event as a subscriber gets it, its properties beside its own fields; those it does not know are left out."""

    model_config = ConfigDict(strict=False, extra="ignore", frozen=True)

    id: str = Field(description="Of the message: grows from one to the next; say it to go on behind it.")
    event_type: str
    event_id: UUID
    user_hash: str | None = Field(description="Pseudonym of the learner, hexadecimal; None when it is about nobody.")
    session_id: UUID | None
    occurred_at: datetime
    received_at: datetime
    activity_date: date = Field(description="The learner's local day.")
    schema_version: int
    service: str = Field(description="Name of the service that sent it.")


class UnknownEvent(LiveEvent):
    """An event of a type this version does not know."""

    properties: dict[str, Any]


class SessionStartEvent(LiveEvent, typed.SessionStartProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["session_start"]


class SessionEndEvent(LiveEvent, typed.SessionEndProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["session_end"]


class MaterialViewEvent(LiveEvent, typed.MaterialViewProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["material_view"]


class MaterialCompleteEvent(LiveEvent, typed.MaterialCompleteProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["material_complete"]


class XpEarnedEvent(LiveEvent, typed.XpEarnedProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["xp_earned"]


class LevelUpEvent(LiveEvent, typed.LevelUpProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["level_up"]


class AchievementEarnedEvent(LiveEvent, typed.AchievementEarnedProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["achievement_earned"]


class StreakUpdateEvent(LiveEvent, typed.StreakUpdateProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["streak_update"]


class AiMessageSentEvent(LiveEvent, typed.AiMessageSentProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["ai_message_sent"]


class AiMessageReceivedEvent(LiveEvent, typed.AiMessageReceivedProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["ai_message_received"]


class AiFeedbackRatedEvent(LiveEvent, typed.AiFeedbackRatedProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["ai_feedback_rated"]


class ApiRequestEvent(LiveEvent, typed.ApiRequestProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["api_request"]


class ApiErrorEvent(LiveEvent, typed.ApiErrorProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["api_error"]


class SearchQueryEvent(LiveEvent, typed.SearchQueryProperties):
    model_config = LiveEvent.model_config
    event_type: Literal["search_query"]


AnyLiveEvent = Annotated[
    SessionStartEvent
    | SessionEndEvent
    | MaterialViewEvent
    | MaterialCompleteEvent
    | XpEarnedEvent
    | LevelUpEvent
    | AchievementEarnedEvent
    | StreakUpdateEvent
    | AiMessageSentEvent
    | AiMessageReceivedEvent
    | AiFeedbackRatedEvent
    | ApiRequestEvent
    | ApiErrorEvent
    | SearchQueryEvent,
    Field(discriminator="event_type"),
]

_KNOWN: Final = frozenset(event_type.value for event_type in EventType)
_OBJECT: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(dict[str, Any])
_LIVE_EVENT: Final[TypeAdapter[LiveEvent]] = TypeAdapter(AnyLiveEvent)


def parse_message(message: bytes | str) -> LiveEvent:
    """Return the event of a message; one of a type that is not known is an UnknownEvent. Raises ValueError."""
    return event_of(_OBJECT.validate_json(message))


def event_of(document: Mapping[str, Any]) -> LiveEvent:
    """Return the event of a message that was read as JSON. Raises ValueError."""
    fields = dict(document)
    properties = fields.pop("properties", {})
    service = fields.pop("source", None)
    if document.get("event_type") not in _KNOWN:
        return UnknownEvent.model_validate(fields | {"properties": properties, "service": service})
    return _LIVE_EVENT.validate_python(properties | fields | {"service": service})
