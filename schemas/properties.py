"""What each type of event may say about itself. Unknown properties are refused by name, free text has no place here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Controls, line separators, and what turns the direction of a text around: it may look like another than is stored.
_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
# What has no width at all: two ids that look the same.
_INVISIBLE = r"\u00ad\u200b-\u200f\u2060-\u2064\ufeff"

Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=rf"^[^{_UNPRINTABLE}{_INVISIBLE}]+$")
]
"""An opaque id or short name: 1 to 128 characters, none of them invisible."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^[^{_UNPRINTABLE}]+$")]
"""A short text for people, such as the name of an achievement: 1 to 200 characters, no control characters."""

Seconds = Annotated[float, Field(ge=0, le=30 * 86_400)]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000)]
Percentage = Annotated[float, Field(ge=0, le=100)]
Points = Annotated[int, Field(ge=0, le=1_000_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Level = Annotated[int, Field(ge=1, le=1_000_000)]
StatusCode = Annotated[int, Field(ge=100, le=599)]
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
    score: Percentage | None = None


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
    streak_days: Annotated[int, Field(ge=0, le=100_000)]


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
    rating: Annotated[int, Field(ge=1, le=5)]


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
