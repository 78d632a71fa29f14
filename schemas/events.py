"""An event as a sender posts it: one envelope, fourteen types, typed properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
)
from pydantic_core import CoreSchema, core_schema

from . import properties as typed
from .event_types import EventType
from .identifiers import UUID_FORM

__all__ = ["EVENT", "MODELS", "PROPERTIES", "AnyEvent", "Envelope", "EventType"]

UserId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
EventId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]

_RFC_3339: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?$"
)


class _Rfc3339:
    """Lets texts of that form through, and no others: the parser of times alone would take "1790000000" for seconds."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        form = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=_RFC_3339),
            custom_error_type="datetime_parsing",
            custom_error_context={"error": "in the form of RFC 3339"},
        )
        return core_schema.chain_schema([core_schema.str_schema(strict=True), form, handler(source)])

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


# Not strict: after the step before, the text counts as no longer JSON, of which a strict datetime is not made.
Timestamp = Annotated[AwareDatetime, Field(strict=False), _Rfc3339()]


class _Uuid:
    """Takes a UUID in any of its forms, as text in lower case with hyphens.

    Nearly all are sent in that form, which is matched and kept; through a `UUID` and back would take twice as long.
    """

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        as_stored = core_schema.str_schema(pattern=f"^{UUID_FORM}$")
        any_form = core_schema.no_info_after_validator_function(str, core_schema.uuid_schema(strict=False))
        either = core_schema.union_schema(
            [as_stored, any_form],
            mode="left_to_right",
            custom_error_type="uuid_parsing",
            custom_error_context={"error": "in one of the forms of RFC 9562"},
        )
        return core_schema.chain_schema([core_schema.str_schema(strict=True), either])

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "uuid"}


SessionId = Annotated[str, _Uuid()]


class Envelope(BaseModel):
    """What every event carries beside its type and properties."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    event_id: EventId | None = Field(default=None, description="Idempotency key; a UUIDv7 is kept as it is.")
    session_id: SessionId | None = None
    timestamp: Timestamp | None = Field(default=None, description="When it happened: RFC 3339 with an offset.")
    schema_version: Literal[1] = 1


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
