"""The table of questions. Routes, the OpenAPI document, the audit log and metric labels are derived from it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from pydantic import TypeAdapter

from dashboard.live.event_stream import MEDIA_TYPE
from dashboard.questions.events import search_events
from dashboard.questions.learner import gamification_progress, learning_heatmap, learning_overview
from dashboard.questions.live import STREAM_PATH, live_events
from dashboard.questions.parameters import (
    EventQuery,
    LastDay,
    LastMonth,
    LastYear,
    LiveCursor,
    LiveQuery,
    OneJob,
    OneLearner,
)
from dashboard.questions.privacy import erase_learner, erasure_receipt, export_learner
from dashboard.questions.question import HeaderParameter, Question
from dashboard.questions.system import system_metrics
from schemas.answers.events import EventPage
from schemas.answers.gamification import GamificationProgress
from schemas.answers.learning import LearningHeatmap, LearningOverview
from schemas.answers.privacy import ErasureReceipt, LearnerExport
from schemas.answers.system import SystemMetrics

_EVENT: Final = {
    "type": "object",
    "description": "Each event of the stream; `data` is JSON.",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]{1,16}$"},
        "event": {"type": "string"},
        "data": {"type": "string"},
        "retry": {"type": "integer"},
    },
}
_STREAM: Final = {
    "description": "Events until the client leaves: `welcome`, each live event under the name of its type,"
    " `heartbeat`, `behind`, `resync_required`, `expired`.",
    "content": {MEDIA_TYPE: {"schema": _EVENT}},
}

LEARNING_OVERVIEW: Final = Question(
    operation="learning_overview",
    path="/api/analytics/learning/overview",
    tag="learning",
    parameters=LastMonth,
    scope="learning:read",
    serves_learners=True,
    function=learning_overview,
    answer=LearningOverview,
)
LEARNING_HEATMAP: Final = Question(
    operation="learning_heatmap",
    path="/api/analytics/learning/heatmap",
    tag="learning",
    parameters=LastYear,
    scope="learning:read",
    serves_learners=True,
    function=learning_heatmap,
    answer=LearningHeatmap,
)
GAMIFICATION_PROGRESS: Final = Question(
    operation="gamification_progress",
    path="/api/analytics/gamification/progress",
    tag="gamification",
    parameters=LastMonth,
    scope="learning:read",
    serves_learners=True,
    function=gamification_progress,
    answer=GamificationProgress,
)
SYSTEM_METRICS: Final = Question(
    operation="system_metrics",
    path="/api/analytics/system/metrics",
    tag="system",
    parameters=LastDay,
    scope="system:read",
    function=system_metrics,
    answer=SystemMetrics,
)
SEARCH_EVENTS: Final = Question(
    operation="search_events",
    path="/api/analytics/events",
    tag="events",
    parameters=EventQuery,
    scope="events:read",
    function=search_events,
    answer=EventPage,
)
LIVE_EVENTS: Final = Question(
    operation="live_events",
    path=STREAM_PATH,
    tag="live",
    parameters=LiveQuery,
    header=HeaderParameter("Last-Event-ID", "last_id", TypeAdapter(LiveCursor), "As `last_id`, which it overrides."),
    scope="events:read",
    serves_learners=True,
    function=live_events,
    answer=None,
    responses={"200": _STREAM},
)
ERASE_LEARNER: Final = Question(
    operation="erase_learner",
    method="DELETE",
    path="/api/analytics/privacy/users/{user_id}",
    tag="privacy",
    parameters=OneLearner,
    scope="privacy:admin",
    function=erase_learner,
    answer=ErasureReceipt,
    status=HTTPStatus.ACCEPTED,
)
EXPORT_LEARNER: Final = Question(
    operation="export_learner",
    path="/api/analytics/privacy/users/{user_id}/export",
    tag="privacy",
    parameters=OneLearner,
    scope="privacy:admin",
    function=export_learner,
    answer=LearnerExport,
)
ERASURE_RECEIPT: Final = Question(
    operation="erasure_receipt",
    path="/api/analytics/privacy/jobs/{job_id}",
    tag="privacy",
    parameters=OneJob,
    scope="privacy:admin",
    function=erasure_receipt,
    answer=ErasureReceipt,
    responses={"404": {"description": "No such job."}},
)

QUESTIONS: Final[tuple[Question[Any], ...]] = (
    LEARNING_OVERVIEW,
    LEARNING_HEATMAP,
    GAMIFICATION_PROGRESS,
    SYSTEM_METRICS,
    SEARCH_EVENTS,
    LIVE_EVENTS,
    ERASE_LEARNER,
    EXPORT_LEARNER,
    ERASURE_RECEIPT,
)
