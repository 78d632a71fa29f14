"""An event as a sender posts it: an envelope and the properties of its type, validated by one tagged union."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, create_model
from pydantic_core import CoreSchema

from .catalogue import CATALOGUE, EventKind, Subject
from .catalogue.property_types import Properties
from .envelope_fields import EventId, SchemaVersion, SessionId, Timestamp, UserId


class Envelope(BaseModel):
    """The fields of every event except its type and properties."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    event_id: EventId | None = Field(default=None, description="Idempotency key. A UUIDv7 is stored unchanged.")
    session_id: SessionId | None = Field(
        default=None, description="A UUID. Any other text or whole number is mapped to a UUID by a keyed function."
    )
    timestamp: Timestamp | None = Field(default=None, description="Time of the event: RFC 3339 with an offset.")
    schema_version: SchemaVersion = 1


class LearnerEvent(Envelope):
    """An event about a learner."""

    user_id: UserId = Field(description="Raw id of the learner. Hashed at once, never stored.")
    event_type: str
    properties: Properties


class PlatformEvent(Envelope):
    """An event about the platform, with or without a learner."""

    user_id: UserId | None = Field(default=None, description="Raw id of the learner, if any. Never stored.")
    event_type: str
    properties: Properties


_ENVELOPES: Final[Mapping[Subject, type[LearnerEvent | PlatformEvent]]] = {
    Subject.LEARNER: LearnerEvent,
    Subject.PLATFORM: PlatformEvent,
}


def _model_of(kind: EventKind) -> type[LearnerEvent | PlatformEvent]:
    """Return the model of an event type. `properties` is optional when none of them is required."""
    is_required = any(field.is_required() for field in kind.properties.model_fields.values())
    fields: dict[str, Any] = {
        "event_type": (Literal[kind.name], ...),
        "properties": (kind.properties, ... if is_required else kind.properties()),
    }
    name = kind.name.title().replace("_", "")
    return create_model(name, __base__=_ENVELOPES[kind.subject], __module__=__name__, **fields)


MODELS: Final[Mapping[str, type[LearnerEvent | PlatformEvent]]] = {
    name: _model_of(kind) for name, kind in CATALOGUE.items()
}
"""The model of each event type, by its name."""


class _OfTheCatalogue:
    """Validates by the model of the event type. Compiled code selects the model."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler.generate_schema(Annotated[reduce(or_, MODELS.values()), Field(discriminator="event_type")])


AnyEvent = Annotated[LearnerEvent | PlatformEvent, _OfTheCatalogue()]

EVENT: Final[TypeAdapter[AnyEvent]] = TypeAdapter(AnyEvent)
