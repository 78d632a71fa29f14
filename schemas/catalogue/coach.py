"""Events of the AI coach: lengths, times and ratings, never a text."""

from __future__ import annotations

from pydantic import Field

from .property_types import Count, Identifier, Milliseconds, Properties, Rating


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
