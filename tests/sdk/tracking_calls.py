"""A valid call of every tracking method."""

from __future__ import annotations

from typing import Any
from uuid import UUID

SESSION = "0b1a2d5e-0000-4000-8000-000000000001"

CALLS: dict[str, dict[str, Any]] = {
    "track_session_start": {"user_id": 7, "material_id": 12, "material_type": "pdf", "platform": "web"},
    "track_session_end": {"user_id": 7, "session_id": UUID(SESSION), "duration_seconds": 12.5, "xp_earned": 3},
    "track_material_view": {"user_id": UUID(SESSION), "material_id": "m", "progress_percentage": 50},
    "track_material_complete": {"user_id": "u", "material_id": 5, "score": 97.5},
    "track_xp_earned": {"user_id": "u", "xp_amount": 25, "source": "quiz"},
    "track_level_up": {"user_id": "u", "new_level": 3, "previous_level": 2},
    "track_achievement_earned": {"user_id": "u", "achievement_id": 9, "achievement_name": "Nine", "xp_reward": 5},
    "track_streak_update": {"user_id": "u", "streak_days": 4},
    "track_ai_message_sent": {"user_id": "u", "message_length": 120, "conversation_id": 77},
    "track_ai_message_received": {"user_id": "u", "response_time_ms": 12.5, "tokens": 9, "model": "coach-1"},
    "track_ai_feedback_rated": {"user_id": "u", "rating": 5},
    "track_api_request": {"endpoint": "/courses/{id}", "method": "GET", "status_code": 200, "duration_ms": 1.5},
    "track_api_error": {"endpoint": "/courses/{id}", "error_type": "TimeoutError", "user_id": 3},
    "track_search_query": {"user_id": "u", "query_length": 9, "results_count": 0},
}
