"""A small service of the platform that sends what its learners do, and the health of its API.

uvicorn --factory examples.fastapi_service.service:create_app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header
from studyin_analytics import AnalyticsTracker
from studyin_analytics.middleware import AnalyticsMiddleware

# in place of the login of a real service
Learner = Annotated[str, Header(alias="X-Learner")]


def create_app(tracker: AnalyticsTracker | None = None) -> FastAPI:
    """Return the service. Without a tracker it uses ANALYTICS_INGEST_URL and ANALYTICS_WRITE_KEY."""
    analytics = tracker or AnalyticsTracker()

    @asynccontextmanager
    async def until_all_is_sent(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await analytics.shutdown(5)

    app = FastAPI(title="Courses", lifespan=until_all_is_sent)
    # an `api_request` for each request, an `api_error` for each that fails
    app.add_middleware(AnalyticsMiddleware, tracker=analytics)

    @app.post("/materials/{material_id}/sessions")
    async def begin(material_id: str, learner: Learner) -> dict[str, str]:
        session_id = await analytics.start_learning_session(user_id=learner, material_id=material_id)
        await analytics.track_material_interaction(
            user_id=learner, material_id=material_id, interaction_type="view", session_id=session_id
        )
        return {"session_id": session_id}

    @app.post("/sessions/{session_id}/end")
    async def end(session_id: str, learner: Learner, xp: int = 10) -> dict[str, int]:
        await analytics.end_learning_session(user_id=learner, session_id=session_id, xp_earned=xp)
        return {"xp_earned": xp}

    return app
