"""One method for each thing that can happen, written once: what a method returns is the tracker's own choice."""

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
"""Source of the XP of `end_learning_session`."""


class Context(TypedDict, total=False):
    """What every event may say beside its properties."""

    session_id: Id | None
    timestamp: datetime | str | None
    """When it happened, with its zone: the learner's day is the date in that. Now, in UTC, unless given."""
    event_id: Id | None
    """Two events of one id count once. A new one unless given."""


@dataclass(frozen=True)
class Call:
    """The arguments of `Client.track`."""

    event_type: EventType
    user_id: Id | None
    properties: Mapping[str, Any]
    context: Context = field(default_factory=Context)


class Tracking(ABC, Generic[Answer]):
    """The answer of a method is the id of its event, or of the session it started.

    Nothing here waits for the network. Ids may be of any type that can be written as text. What is not valid is told
    to on_error, or raised with strict=True.
    """

    @abstractmethod
    def _send(self, *calls: Call, answer: str | None = None) -> Answer:
        """Take the events; answer with `answer`, or the id of the first event."""

    def track_session_start(
        self,
        *,
        user_id: Id,
        material_id: Id | None = None,
        material_type: str | None = None,
        platform: str | None = None,
        **context: Unpack[Context],
    ) -> Answer:
        """A learner began to learn. Without a session_id the session is known by the event's id."""
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
        """A session ended. `xp_earned` describes it and adds nothing to the learner's XP: see `track_xp_earned`."""
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
        """A learner looked at a material."""
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
        """A learner finished a material."""
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
        """A learner earned XP."""
        return self._send(Call(EventType.XP_EARNED, user_id, {"xp_amount": xp_amount, "source": source}, context))

    def track_level_up(
        self, *, user_id: Id, new_level: int, previous_level: int | None = None, **context: Unpack[Context]
    ) -> Answer:
        """A learner reached a level."""
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
        """A learner earned an achievement, and the XP that comes with it."""
        facts = {"achievement_id": achievement_id, "achievement_name": achievement_name, "xp_reward": xp_reward}
        return self._send(Call(EventType.ACHIEVEMENT_EARNED, user_id, facts, context))

    def track_streak_update(self, *, user_id: Id, streak_days: int, **context: Unpack[Context]) -> Answer:
        """The platform counted a streak; it is shown, and not what streaks are answered from."""
        return self._send(Call(EventType.STREAK_UPDATE, user_id, {"streak_days": streak_days}, context))

    def track_ai_message_sent(
        self, *, user_id: Id, message_length: int, conversation_id: Id | None = None, **context: Unpack[Context]
    ) -> Answer:
        """A learner wrote to the coach: so many characters, never the text."""
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
        """The coach answered."""
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
        """A learner rated the coach, 1 to 5."""
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
        """The platform served a request; `endpoint` is the template of its route."""
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
        """The platform failed to serve a request."""
        facts = {"endpoint": endpoint, "error_type": error_type, "method": method, "status_code": status_code}
        return self._send(Call(EventType.API_ERROR, user_id, facts, context))

    def track_search_query(
        self, *, user_id: Id, query_length: int, results_count: int, **context: Unpack[Context]
    ) -> Answer:
        """A learner searched: so many characters, never the text."""
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
        """Start a session; the answer is its id, for the events that belong to it and for its end."""
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
        """A learner viewed (`view`) or completed (`complete`) a material. Raises ValueError for another interaction.

        A completed material is at 100 %, so `progress_percentage` is told of views only.
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
        raise ValueError("interaction_type is 'view' or 'complete'")

    def end_learning_session(
        self,
        *,
        user_id: Id,
        session_id: str | UUID,
        xp_earned: int | None = None,
        duration_seconds: float | None = None,
        timestamp: datetime | str | None = None,
    ) -> Answer:
        """End a session, and give the learner the XP it earned: a `session_end`, and an `xp_earned` where there is any.

        The answer is the id of the `session_end`.
        """
        context = Context(session_id=session_id, timestamp=timestamp)
        facts = {"duration_seconds": duration_seconds, "xp_earned": xp_earned}
        calls = [Call(EventType.SESSION_END, user_id, facts, context)]
        if xp_earned:
            calls.append(Call(EventType.XP_EARNED, user_id, {"xp_amount": xp_earned, "source": SESSION_XP}, context))
        return self._send(*calls)
