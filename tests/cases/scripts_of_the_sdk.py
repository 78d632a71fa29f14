"""Scripts of cases about the Python SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from studyin_analytics import InvalidEvent, SyncAnalyticsTracker

from tests.cases.case import Case
from tests.cases.stage import Stage
from tests.support.access import WRITE_KEY
from tests.support.sdk_scripts import run_script
from tests.support.waiting import eventually


async def one_event_among_a_hundred(case: Case, stage: Stage) -> None:
    tracker = SyncAnalyticsTracker(f"http://{stage.system.ingest}", write_key=WRITE_KEY)
    try:
        for call in case.facts["call"]["events"]:
            facts = {name: value for name, value in call.items() if name not in ("times", "event")}
            for _ in range(call["times"]):
                getattr(tracker, f"track_{call['event']}")(user_id="crowded", **facts)
        await eventually(lambda: tracker.stats().accepted >= case.expected["accepted_at_least"])
        assert await asyncio.to_thread(tracker.flush, 10)
        assert tracker.stats().pending == 0
    finally:
        await asyncio.to_thread(tracker.shutdown, 0)


WITH_A_WRONG_KEY = """
import sys
from studyin_analytics import SyncAnalyticsTracker
tracker = SyncAnalyticsTracker(sys.argv[1], write_key="an unknown key")
for _ in range(50):
    tracker.track_xp_earned(user_id="unheard", xp_amount=1)
"""


async def a_short_script_with_a_wrong_key(case: Case, stage: Stage) -> None:
    assert set(case.expected) == {"note"}
    ended = await asyncio.to_thread(run_script, WITH_A_WRONG_KEY, f"http://{stage.system.ingest}")
    assert ended.stderr.strip(), "fifty events were lost without a message"


async def ids_of_other_types(case: Case, stage: Stage) -> None:
    assert set(case.expected) == {"note"}
    tracker = SyncAnalyticsTracker(f"http://{stage.system.ingest}", write_key=WRITE_KEY, strict=True)
    try:
        others: tuple[Any, ...] = (b"x", True, 3.5)
        for other in others:
            with pytest.raises(InvalidEvent, match="user_id"):
                tracker.track_xp_earned(user_id=other, xp_amount=1)
    finally:
        await asyncio.to_thread(tracker.shutdown, 0)
