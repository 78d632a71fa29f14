"""An event as a sender posts it: one envelope, fourteen types, typed properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from . import properties as typed
from .envelope_fields import EventId, SchemaVersion, SessionId, Timestamp, UserId
from .event_types import EventType

__all__ = ["EVENT", "MODELS", "PROPERTIES", "AnyEvent", "Envelope", "EventType"]


class Envelope(BaseModel):
    """What every event carries beside its type and properties."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    event_id: EventId | None = Field(default=None, description="Idempotency key; a UUIDv7 is kept as it is.")
    session_id: SessionId | None = Field(
        default=None, description="A UUID, or any text or whole number: mapped to a UUID by a keyed function."
    )
    timestamp: Timestamp | None = Field(default=None, description="When it happened: RFC 3339 with an offset.")
    schema_version: SchemaVersion = 1


class LearnerEvent(Envelope):
    """Something a learner did."""

    user_id: UserId = Field(description="Raw id of the learner; hashed at once, never stored.")


class SystemEvent(Envelope):
    """Something the platform did, perhaps for a learner."""

    user_id: UserId | None = Field(default=None, description="Raw id of the learner, if any; hashed at once.")


class SessionStart(LearnerEvent):
    event_type: Literal["session_start"]
    properties: typed.SessionStartProperties = typed.SessionStartProperties()


class SessionEnd(LearnerEvent):
    event_type: Literal["session_end"]
    properties: typed.SessionEndProperties = typed.SessionEndProperties()


class MaterialView(LearnerEvent):
    event_type: Literal["material_view"]
    properties: typed.MaterialViewProperties


class MaterialComplete(LearnerEvent):
    event_type: Literal["material_complete"]
    properties: typed.MaterialCompleteProperties


class XpEarned(LearnerEvent):
    event_type: Literal["xp_earned"]
    properties: typed.XpEarnedProperties


class LevelUp(LearnerEvent):
    event_type: Literal["level_up"]
    properties: typed.LevelUpProperties


class AchievementEarned(LearnerEvent):
    event_type: Literal["achievement_earned"]
    properties: typed.AchievementEarnedProperties


class StreakUpdate(LearnerEvent):
    event_type: Literal["streak_update"]
    properties: typed.StreakUpdateProperties


class AiMessageSent(LearnerEvent):
    event_type: Literal["ai_message_sent"]
    properties: typed.AiMessageSentProperties


class AiMessageReceived(LearnerEvent):
    event_type: Literal["ai_message_received"]
    properties: typed.AiMessageReceivedProperties


class AiFeedbackRated(LearnerEvent):
    event_type: Literal["ai_feedback_rated"]
    properties: typed.AiFeedbackRatedProperties


class ApiRequest(SystemEvent):
    event_type: Literal["api_request"]
    properties: typed.ApiRequestProperties


class ApiError(SystemEvent):
    event_type: Literal["api_error"]
    properties: typed.ApiErrorProperties


class SearchQuery(LearnerEvent):
    event_type: Literal["search_query"]
    properties: typed.SearchQueryProperties


AnyEvent = Annotated[
    SessionStart
    | SessionEnd
    | MaterialView
    | MaterialComplete
    | XpEarned
    | LevelUp
    | AchievementEarned
    | StreakUpdate
    | AiMessageSent
    | AiMessageReceived
    | AiFeedbackRated
    | ApiRequest
    | ApiError
    | SearchQuery,
    Field(discriminator="event_type"),
]

EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)

MODELS: Final[Mapping[str, type[Envelope]]] = {
    get_args(model.model_fields["event_type"].annotation)[0]: model for model in get_args(get_args(AnyEvent)[0])
}
"""The model of each type of event, by its name."""

PROPERTIES: Final[Mapping[str, type[typed.Properties]]] = {
    event_type: found
    for event_type, model in MODELS.items()
    if isinstance(found := model.model_fields["properties"].annotation, type) and issubclass(found, typed.Properties)
}
"""The model of the properties of each type."""
