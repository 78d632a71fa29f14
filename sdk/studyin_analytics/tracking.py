"""The methods of both trackers, one per event type. The subclass determines what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypedDict, TypeVar
from uuid import UUID, uuid4

from .event_form import Id
from .schemas.catalogue import EventType

if TYPE_CHECKING:
    from typing_extensions import Unpack

Answer = TypeVar("Answer")

SESSION_XP: Final = "learning_session"
"""`source` of the XP that `end_learning_session` tracks."""


class Context(TypedDict, total=False):
    """Fields that every event may have in addition to its properties."""

    session_id: Id | None
    timestamp: datetime | str | None
    """Time of the event, with an offset. The learner's day is the date in this offset. Default: now in UTC."""
    event_id: Id | None
    """Events with the same id count once. Default: a new id."""


@dataclass(frozen=True)
class Call:
    """The arguments of `Client.track`."""

    event_type: EventType
    user_id: Id | None
    properties: Mapping[str, Any]
    context: Context = field(default_factory=Context)


class Tracking(ABC, Generic[Answer]):
    """Each method returns the id of its event, or of the session it started. No method waits for the network.

    Ids may be str, int or UUID. Invalid events are reported to on_error, or raised with strict=True.
    """

    @abstractmethod
    def _send(self, *calls: Call, answer: str | None = None) -> Answer:
        """Queue the events; return `answer`, or the id of the first event."""

    def track_session_start(
        self,
        *,
        user_id: Id,
        material_id: Id | None = None,
        material_type: str | None = None,
        platform: str | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track the start of a session. Without a session_id the session has the id of the event."""
        facts = {"material_id": material_id, "material_type": material_type, "platform": platform}
        return self._send(Call(EventType.SESSION_START, user_id, facts, context))

    def track_session_end(
        self,
        *,
        user_id: Id,
        duration_seconds: float | None = None,
        xp_earned: int | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track the end of a session. `xp_earned` adds nothing to the learner's XP: see `track_xp_earned`."""
        facts = {"duration_seconds": duration_seconds, "xp_earned": xp_earned}
        return self._send(Call(EventType.SESSION_END, user_id, facts, context))

    def track_material_view(
        self,
        *,
        user_id: Id,
        material_id: Id,
        material_type: str | None = None,
        duration_seconds: float | None = None,
        progress_percentage: float | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track that a learner viewed a material."""
        facts = {
            "material_id": material_id,
            "material_type": material_type,
            "duration_seconds": duration_seconds,
            "progress_percentage": progress_percentage,
        }
        return self._send(Call(EventType.MATERIAL_VIEW, user_id, facts, context))

    def track_material_complete(
        self,
        *,
        user_id: Id,
        material_id: Id,
        material_type: str | None = None,
        duration_seconds: float | None = None,
        score: float | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track that a learner completed a material."""
        facts = {
            "material_id": material_id,
            "material_type": material_type,
            "duration_seconds": duration_seconds,
            "score": score,
        }
        return self._send(Call(EventType.MATERIAL_COMPLETE, user_id, facts, context))

    def track_xp_earned(
        self, *, user_id: Id, xp_amount: int, source: str | None = None, **context: Unpack[Context]
    ) -> Answer:
        """Track XP that a learner earned."""
        return self._send(Call(EventType.XP_EARNED, user_id, {"xp_amount": xp_amount, "source": source}, context))

    def track_level_up(
        self, *, user_id: Id, new_level: int, previous_level: int | None = None, **context: Unpack[Context]
    ) -> Answer:
        """Track that a learner reached a level."""
        facts = {"new_level": new_level, "previous_level": previous_level}
        return self._send(Call(EventType.LEVEL_UP, user_id, facts, context))

    def track_achievement_earned(
        self,
        *,
        user_id: Id,
        achievement_id: Id,
        achievement_name: str | None = None,
        xp_reward: int | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track an achievement, and the XP that it rewards."""
        facts = {"achievement_id": achievement_id, "achievement_name": achievement_name, "xp_reward": xp_reward}
        return self._send(Call(EventType.ACHIEVEMENT_EARNED, user_id, facts, context))

    def track_streak_update(self, *, user_id: Id, streak_days: int, **context: Unpack[Context]) -> Answer:
        """Track a streak that the platform counted. The read service computes streaks from activity instead."""
        return self._send(Call(EventType.STREAK_UPDATE, user_id, {"streak_days": streak_days}, context))

    def track_ai_message_sent(
        self, *, user_id: Id, message_length: int, conversation_id: Id | None = None, **context: Unpack[Context]
    ) -> Answer:
        """Track a message to the coach: its length in characters, never its text."""
        facts = {"message_length": message_length, "conversation_id": conversation_id}
        return self._send(Call(EventType.AI_MESSAGE_SENT, user_id, facts, context))

    def track_ai_message_received(
        self,
        *,
        user_id: Id,
        response_time_ms: float,
        tokens: int | None = None,
        model: str | None = None,
        conversation_id: Id | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track an answer of the coach."""
        facts = {
            "response_time_ms": response_time_ms,
            "tokens": tokens,
            "model": model,
            "conversation_id": conversation_id,
        }
        return self._send(Call(EventType.AI_MESSAGE_RECEIVED, user_id, facts, context))

    def track_ai_feedback_rated(
        self, *, user_id: Id, rating: int, conversation_id: Id | None = None, **context: Unpack[Context]
    ) -> Answer:
        """Track a rating of the coach, from 1 to 5."""
        facts = {"rating": rating, "conversation_id": conversation_id}
        return self._send(Call(EventType.AI_FEEDBACK_RATED, user_id, facts, context))

    def track_api_request(
        self,
        *,
        endpoint: str,
        method: str,
        status_code: int,
        duration_ms: float,
        user_id: Id | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track a request that the platform served. `endpoint` is the template of its route."""
        facts = {"endpoint": endpoint, "method": method, "status_code": status_code, "duration_ms": duration_ms}
        return self._send(Call(EventType.API_REQUEST, user_id, facts, context))

    def track_api_error(
        self,
        *,
        endpoint: str,
        error_type: str,
        method: str | None = None,
        status_code: int | None = None,
        user_id: Id | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track a request that the platform failed to serve."""
        facts = {"endpoint": endpoint, "error_type": error_type, "method": method, "status_code": status_code}
        return self._send(Call(EventType.API_ERROR, user_id, facts, context))

    def track_search_query(
        self, *, user_id: Id, query_length: int, results_count: int, **context: Unpack[Context]
    ) -> Answer:
        """Track a search: the length of the query in characters, never its text."""
        facts = {"query_length": query_length, "results_count": results_count}
        return self._send(Call(EventType.SEARCH_QUERY, user_id, facts, context))

    def start_learning_session(
        self,
        *,
        user_id: Id,
        material_id: Id | None = None,
        material_type: str | None = None,
        platform: str | None = None,
        timestamp: datetime | str | None = None,
    ) -> Answer:
        """Start a session. Returns its id, for the events of the session and for its end."""
        session_id = uuid4()
        facts = {"material_id": material_id, "material_type": material_type, "platform": platform}
        context = Context(session_id=session_id, timestamp=timestamp)
        return self._send(Call(EventType.SESSION_START, user_id, facts, context), answer=str(session_id))

    def track_material_interaction(
        self,
        *,
        user_id: Id,
        material_id: Id,
        interaction_type: str,
        material_type: str | None = None,
        progress_percentage: float | None = None,
        duration_seconds: float | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """Track that a learner viewed (`view`) or completed (`complete`) a material.

        `progress_percentage` applies to views only. Raises ValueError for another interaction.
        """
        facts: dict[str, Any] = {
            "material_id": material_id,
            "material_type": material_type,
            "duration_seconds": duration_seconds,
        }
        if interaction_type == "view":
            facts["progress_percentage"] = progress_percentage
            return self._send(Call(EventType.MATERIAL_VIEW, user_id, facts, context))
        if interaction_type == "complete":
            return self._send(Call(EventType.MATERIAL_COMPLETE, user_id, facts, context))
        raise ValueError("interaction_type must be 'view' or 'complete'")

    def end_learning_session(
        self,
        *,
        user_id: Id,
        session_id: str | UUID,
        xp_earned: int | None = None,
        duration_seconds: float | None = None,
        timestamp: datetime | str | None = None,
    ) -> Answer:
        """End a session: track a `session_end`, and an `xp_earned` if the session earned XP.

        Returns the id of the `session_end`.
        """
        context = Context(session_id=session_id, timestamp=timestamp)
        facts = {"duration_seconds": duration_seconds, "xp_earned": xp_earned}
        calls = [Call(EventType.SESSION_END, user_id, facts, context)]
        if xp_earned:
            calls.append(Call(EventType.XP_EARNED, user_id, {"xp_amount": xp_earned, "source": SESSION_XP}, context))
        return self._send(*calls)
