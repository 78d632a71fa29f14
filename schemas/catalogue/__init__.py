"""Every event type, one row each. Everything that depends on the type is derived from this table.

CONTRIBUTING.md shows how to add an event type.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from . import coach, gamification, learning, platform
from .kind import EventKind, Subject

__all__ = ["CATALOGUE", "COUNTERS", "LEARNER_EVENTS", "PLATFORM_EVENTS", "EventKind", "EventType", "Subject"]


class EventType(str, Enum):
    """Name of an event type as it is sent, stored and published (snake_case). A member is a string."""

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


_LEARNER: Final = Subject.LEARNER
_PLATFORM: Final = Subject.PLATFORM

_KINDS: Final = (
    EventKind("session_start", _LEARNER, learning.SessionStartProperties),
    EventKind("session_end", _LEARNER, learning.SessionEndProperties),
    EventKind("material_view", _LEARNER, learning.MaterialViewProperties, counter="materials_viewed"),
    EventKind("material_complete", _LEARNER, learning.MaterialCompleteProperties, counter="materials_completed"),
    EventKind("xp_earned", _LEARNER, gamification.XpEarnedProperties, xp="xp_amount"),
    EventKind("level_up", _LEARNER, gamification.LevelUpProperties),
    EventKind("achievement_earned", _LEARNER, gamification.AchievementEarnedProperties, xp="xp_reward"),
    EventKind("streak_update", _LEARNER, gamification.StreakUpdateProperties),
    EventKind("ai_message_sent", _LEARNER, coach.AiMessageSentProperties, counter="ai_messages"),
    EventKind("ai_message_received", _LEARNER, coach.AiMessageReceivedProperties, counter="ai_messages"),
    EventKind("ai_feedback_rated", _LEARNER, coach.AiFeedbackRatedProperties),
    EventKind("api_request", _PLATFORM, platform.ApiRequestProperties),
    EventKind("api_error", _PLATFORM, platform.ApiErrorProperties),
    EventKind("search_query", _LEARNER, learning.SearchQueryProperties, counter="searches"),
)

CATALOGUE: Final[Mapping[str, EventKind]] = {kind.name: kind for kind in _KINDS}
"""The row of each event type, by its name."""

LEARNER_EVENTS: Final = frozenset(kind.name for kind in _KINDS if kind.subject is Subject.LEARNER)
"""Event types that are activity of a learner."""

PLATFORM_EVENTS: Final = frozenset(kind.name for kind in _KINDS if kind.subject is Subject.PLATFORM)
"""Event types about the health of the platform."""

COUNTERS: Final[Mapping[str, frozenset[str]]] = {
    counter: frozenset(kind.name for kind in _KINDS if kind.counter == counter)
    for counter in dict.fromkeys(kind.counter for kind in _KINDS)
    if counter is not None
}
"""Event types that each counter of a learner's day counts, by its column."""
