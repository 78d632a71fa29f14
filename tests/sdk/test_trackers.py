"""Both trackers have the same methods for every type; the three of the original document behave as it says."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from typing import Any

import pytest
from studyin_analytics import AnalyticsTracker, EventType, InvalidEvent, SyncAnalyticsTracker
from studyin_analytics.testing import recording_sync_tracker, recording_tracker
from studyin_analytics.tracking import SESSION_XP

from tests.sdk.tracking_calls import CALLS, SESSION
from tests.support.scripted_ingest import ScriptedIngest

HIGH_LEVEL = {"start_learning_session", "track_material_interaction", "end_learning_session"}


def methods(kind: type) -> dict[str, inspect.Signature]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in found if not name.startswith("_")}


def test_both_trackers_have_the_same_methods() -> None:
    def shape(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
        return {
            name: [(each.name, each.kind, each.default) for each in signature.parameters.values()]
            for name, signature in methods(kind).items()
        }

    assert shape(AnalyticsTracker) == shape(SyncAnalyticsTracker)
    assert set(methods(AnalyticsTracker)) > HIGH_LEVEL


def test_there_is_a_method_for_every_type_and_a_call_of_each_here() -> None:
    named = {name for name in methods(AnalyticsTracker) if name.startswith("track_")} - HIGH_LEVEL
    assert named == {f"track_{event_type}" for event_type in EventType} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_a_valid_event_of_its_type_whichever_tracker_it_is_made_on(name: str) -> None:
    tracker, recorded = recording_tracker()
    sync_tracker, sync_recorded = recording_sync_tracker()
    said = CALLS[name] | {"event_id": "the-same", "timestamp": datetime(2026, 11, 24, tzinfo=UTC)}
    assert await getattr(tracker, name)(**said) == getattr(sync_tracker, name)(**said) == "the-same"
    assert await tracker.shutdown(10)
    assert sync_tracker.shutdown(10)
    [event] = recorded.events
    assert [event] == sync_recorded.events
    assert event["event_type"] == name.removeprefix("track_")
    context = {"user_id", "session_id", "event_id", "timestamp"}
    expected = {key: value for key, value in said.items() if key not in context}
    assert event["properties"] == {key: str(value) if key.endswith("_id") else value for key, value in expected.items()}


async def test_the_session_of_the_document() -> None:
    tracker, recorded = recording_tracker()
    async with tracker:
        session_id = await tracker.start_learning_session(user_id=7, material_id=12)
        await tracker.track_material_interaction(
            user_id=7, material_id=12, material_type="pdf", interaction_type="view", progress_percentage=50.0
        )
        await tracker.end_learning_session(user_id=7, session_id=session_id, xp_earned=100)
    told = [(event["event_type"], event.get("session_id"), event["properties"]) for event in recorded.events]
    assert told == [
        ("session_start", session_id, {"material_id": "12"}),
        ("material_view", None, {"material_id": "12", "material_type": "pdf", "progress_percentage": 50.0}),
        ("session_end", session_id, {"xp_earned": 100}),
        ("xp_earned", session_id, {"xp_amount": 100, "source": SESSION_XP}),
    ]
    assert len({event["event_id"] for event in recorded.events}) == 4


@pytest.mark.parametrize("xp_earned", [None, 0])
def test_a_session_without_xp_gives_none(xp_earned: int | None) -> None:
    tracker, recorded = recording_sync_tracker()
    with tracker:
        tracker.end_learning_session(user_id=7, session_id=SESSION, xp_earned=xp_earned)
    assert [event["event_type"] for event in recorded.events] == ["session_end"]


def test_a_completed_material_is_an_event_of_its_own() -> None:
    tracker, recorded = recording_sync_tracker()
    with tracker:
        tracker.track_material_interaction(
            user_id=7, material_id=12, interaction_type="complete", progress_percentage=100.0
        )
    [event] = recorded.events
    assert (event["event_type"], event["properties"]) == ("material_complete", {"material_id": "12"})


def test_another_interaction_is_a_clear_error() -> None:
    tracker, _ = recording_sync_tracker(strict=False)
    with pytest.raises(ValueError, match="'view' or 'complete'"):
        tracker.track_material_interaction(user_id=7, material_id=12, interaction_type="download")


def test_a_recorded_event_is_judged_as_a_real_one() -> None:
    tracker, recorded = recording_sync_tracker()
    with pytest.raises(InvalidEvent):
        tracker.track_level_up(user_id=7, new_level=0)
    with pytest.raises(InvalidEvent):
        tracker.track_xp_earned(user_id=7, xp_amount=1, timestamp=datetime(2026, 1, 1))
    assert tracker.shutdown(10)
    assert recorded.events == []


async def test_to_await_a_method_does_not_wait_for_the_network(ingest: ScriptedIngest) -> None:
    tracker = AnalyticsTracker(ingest.url, write_key="key", flush_interval=3_600.0)
    await tracker.track_xp_earned(user_id=7, xp_amount=1)
    assert ingest.requests == []
    assert tracker.stats().pending == 1
    assert await tracker.flush(10)
    assert tracker.stats().accepted == 1
    assert await tracker.shutdown(10)
