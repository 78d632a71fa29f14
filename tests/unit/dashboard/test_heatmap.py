"""A heatmap is assembled from the JSON of its days and equals the JSON of its model."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboard.answers.learner import heatmap
from dashboard.answers.windows import DayWindow
from schemas.answers.learning import HeatmapDay, LearningHeatmap
from schemas.answers.meta import DaysMeta
from storage.answers.aggregates import LearnerDay, LearnerRecord

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
TODAY = NOON.date()
LEAP_DAY = date(2024, 2, 29)


def day_of(day: date) -> LearnerDay:
    return LearnerDay(day, 3, 40, 1, 0, 90_000_000)


@pytest.mark.parametrize("through", [TODAY, None], ids=["known", "unknown"])
@pytest.mark.parametrize("known", [[], [TODAY], [TODAY - timedelta(days=364), TODAY], [LEAP_DAY]])
@pytest.mark.parametrize("first", [TODAY, TODAY - timedelta(days=364), LEAP_DAY])
def test_the_heatmap_is_the_json_of_its_model(first: date, known: list[date], through: date | None) -> None:
    window = DayWindow(first, TODAY)
    days = [day_of(day) for day in known if day in window]
    consistent = NOON if through else None
    meta = DaysMeta(consistent_through=consistent, generated_at=NOON, from_=first, to=TODAY, timezone="Asia/Tokyo")
    made = heatmap(LearnerRecord(TODAY, days, {}, 0, 0, [], [], 0, None, None), window, meta)
    expected = LearningHeatmap(
        meta=meta,
        days=[
            HeatmapDay(date=day, activity_count=3, duration_minutes=1.5, xp_earned=40)
            if day in known
            else HeatmapDay(date=day, activity_count=0, duration_minutes=0, xp_earned=0)
            for day in (first + timedelta(days=number) for number in range((TODAY - first).days + 1))
        ],
    )
    assert made.decode() == expected.model_dump_json(by_alias=True)
