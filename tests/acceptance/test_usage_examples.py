"""The three usage examples of the original description, unchanged except for their addresses."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import httpx
import jwt
import pytest
from studyin_analytics import AnalyticsTracker, EventType, get_event_bus
from studyin_analytics.schemas.live import XpEarnedEvent

from cli.local import dev_file
from tests.support.system import running_system
from tests.support.waiting import eventually

OVERVIEW = "/api/analytics/learning/overview"


@pytest.mark.timeout(120)
async def test_track_subscribe_and_query(data_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user, material = SimpleNamespace(id=uuid.uuid4()), SimpleNamespace(id=uuid.uuid4())
    async with running_system(data_directory, "--demo") as system:
        facts = dev_file.read(data_directory)
        assert facts is not None

        # Subscribe to Events
        bus = get_event_bus(system.dashboard_url, key=system.read_key, user_id=user.id)

        async def handle_xp_event(event: XpEarnedEvent) -> None:
            print(f"User earned {event.xp_amount} XP!")  # noqa: T201 - the example's own words

        await bus.subscribe([EventType.XP_EARNED], handle_xp_event)
        listening = asyncio.create_task(bus.start_listening())
        await eventually(lambda: bus.last_id is not None)

        # Track Learning Session
        tracker = AnalyticsTracker(system.ingest_url, write_key=system.write_key)
        session_id = await tracker.start_learning_session(user_id=user.id, material_id=material.id)
        await tracker.track_material_interaction(
            user_id=user.id,
            material_id=material.id,
            material_type="pdf",
            interaction_type="view",
            progress_percentage=50.0,
        )
        await tracker.end_learning_session(user_id=user.id, session_id=session_id, xp_earned=100)
        assert await tracker.shutdown(10)

        said = ""

        def is_said() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return "User earned 100 XP!" in said

        await eventually(is_said)
        bus.stop()
        await listening

        # Query Metrics
        token = jwt.encode({"sub": str(user.id), "exp": int(time.time()) + 600}, facts.jwt_secret, algorithm="HS256")
        async with httpx.AsyncClient(
            base_url=system.dashboard_url, headers={"Authorization": f"Bearer {token}"}
        ) as client:

            async def is_known() -> bool:
                return bool((await client.get(OVERVIEW)).json()["total_xp"])

            await eventually(is_known)
            response = await client.get("/api/analytics/learning/overview")
            metrics = response.json()
            print(f"Total sessions: {metrics['total_sessions']}")  # noqa: T201 - the example's own words
            print(f"Current streak: {metrics['current_streak']}")  # noqa: T201 - the example's own words

    assert capsys.readouterr().out == "Total sessions: 1\nCurrent streak: 1\n"
    assert (metrics["materials_viewed"], metrics["total_xp"], metrics["xp_earned"]) == (1, 100, 100)
    assert metrics["open_sessions"] == 0
    assert said == "User earned 100 XP!\n"
