"""The fourteen things that can happen."""

from __future__ import annotations

from enum import Enum


class EventType(str, Enum):
    """Name of an event as it is sent, stored and published (snake_case); a text, written as its value."""

    __str__ = str.__str__

    SESSION_START = "session_start"
    SESSION_END = "session_end"
    MATERIAL_VIEW = "material_view"
    MATERIAL_COMPLETE = "material_complete"

    XP_EARNED = "xp_earned"
    LEVEL_UP = "level_up"
    ACHIEVEMENT_EARNED = "achievement_earned"
    STREAK_UPDATE = "streak_update"

    AI_MESSAGE_SENT = "ai_message_sent"
    AI_MESSAGE_RECEIVED = "ai_message_received"
    AI_FEEDBACK_RATED = "ai_feedback_rated"

    API_REQUEST = "api_request"
    API_ERROR = "api_error"
    SEARCH_QUERY = "search_query"

    @property
    def is_learner_event(self) -> bool:
        """Whether the event counts as activity of a learner: all but API health."""
        return self not in (EventType.API_REQUEST, EventType.API_ERROR)
