"""What each type of event may say about itself. Unknown properties are refused by name, free text has no place here."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from .joiners import joiners_belong
from .two_forms import either

LONGEST_IDENTIFIER: Final = 512
"""Characters of an identifier that is sent; how it is stored is decided by ingest."""

# Controls, line separators, and what turns the direction of a text around: it may look like another than is stored.
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
# What has no width at all: two ids that look the same. Joiners have a rule of their own.
_INVISIBLE = r"\u00ad\u200b\u200e-\u200f\u2060-\u2064\ufeff"

_IDENTIFIER: Final = rf"^[^{_UNPRINTABLE}{_INVISIBLE}]+$"
_REFUSED: Final = re.compile(f"[{_UNPRINTABLE}{_INVISIBLE}]")


class _Identifier:
    """Takes text without invisible characters, in NFC; nearly all of it is ASCII, which is."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        common = core_schema.str_schema(strict=True, max_length=LONGEST_IDENTIFIER, pattern=r"^[ -~]+$")
        given = core_schema.str_schema(strict=True, min_length=1, max_length=LONGEST_IDENTIFIER)
        exact = core_schema.no_info_after_validator_function(_identifier, given)
        return either(common, exact, core_schema.simple_ser_schema("str"))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": LONGEST_IDENTIFIER, "pattern": _IDENTIFIER}


def _identifier(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    if _REFUSED.search(composed) or not joiners_belong(composed):
        raise PydanticKnownError("string_pattern_mismatch", {"pattern": _IDENTIFIER})
    return composed


class _Whole:
    """Takes a whole number, also with a fraction of zero: some senders have one type of numbers."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        integer = handler(source)
        exact = core_schema.no_info_before_validator_function(_without_zero_fraction, integer)
        return either(integer, exact, core_schema.simple_ser_schema("int"))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema["choices"][0][0])


def _without_zero_fraction(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Identifier = Annotated[str, _Identifier()]
"""An opaque id or short name: 1 to 512 characters, none of them invisible."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^[^{_UNPRINTABLE}]+$")]
"""A short text for people, such as the name of an achievement: 1 to 200 characters, no control characters."""

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000)]
Percentage = Annotated[float, Field(ge=0, le=100)]
Score = Annotated[float, Field(ge=-1_000, le=1_000)]
Points = Annotated[int, Field(ge=0, le=1_000_000_000), _Whole()]
Count = Annotated[int, Field(ge=0, le=1_000_000_000), _Whole()]
Level = Annotated[int, Field(ge=1, le=1_000_000), _Whole()]
Days = Annotated[int, Field(ge=0, le=100_000), _Whole()]
Rating = Annotated[int, Field(ge=1, le=5), _Whole()]
StatusCode = Annotated[int, Field(ge=100, le=599), _Whole()]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]


class Properties(BaseModel):
    """Base of every properties object: strict types, no unknown keys, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def to_json(self) -> str:
        """Return the JSON object that is stored: compact, without absent properties."""
        # model_dump_json without its forty parameters
        return self.__pydantic_serializer__.to_json(self, exclude_none=True).decode()


class SessionStartProperties(Properties):
    material_id: Identifier | None = None
    material_type: Identifier | None = None
    platform: Identifier | None = None


class SessionEndProperties(Properties):
    duration_seconds: Seconds | None = None
    xp_earned: Points | None = Field(
        default=None, description="Describes the session; adds nothing to the learner's XP."
    )


class MaterialViewProperties(Properties):
    material_id: Identifier
    material_type: Identifier | None = None
    duration_seconds: Seconds | None = None
    progress_percentage: Percentage | None = None


class MaterialCompleteProperties(Properties):
    material_id: Identifier
    material_type: Identifier | None = None
    duration_seconds: Seconds | None = None
    score: Score | None = Field(
        default=None, description="In percent; beyond 0 to 100 where points are added or taken away."
    )


class XpEarnedProperties(Properties):
    xp_amount: Points
    source: Identifier | None = None


class LevelUpProperties(Properties):
    new_level: Level
    previous_level: Level | None = None


class AchievementEarnedProperties(Properties):
    achievement_id: Identifier
    achievement_name: Label | None = None
    xp_reward: Points | None = None


class StreakUpdateProperties(Properties):
    streak_days: Days


class AiMessageSentProperties(Properties):
    conversation_id: Identifier | None = None
    message_length: Count = Field(description="Characters of the message; never the text.")


class AiMessageReceivedProperties(Properties):
    conversation_id: Identifier | None = None
    response_time_ms: Milliseconds
    tokens: Count | None = None
    model: Identifier | None = None


class AiFeedbackRatedProperties(Properties):
    conversation_id: Identifier | None = None
    rating: Rating


class ApiRequestProperties(Properties):
    endpoint: Label = Field(description="The route template, such as /courses/{id}.")
    method: Method
    status_code: StatusCode
    duration_ms: Milliseconds


class ApiErrorProperties(Properties):
    endpoint: Label = Field(description="The route template, such as /courses/{id}.")
    method: Method | None = None
    status_code: StatusCode | None = None
    error_type: Identifier


class SearchQueryProperties(Properties):
    query_length: Count = Field(description="Characters of the query; never the text.")
    results_count: Count
