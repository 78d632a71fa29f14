"""Questions about one learner: overview, heatmap, gamification."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.answers.learner import heatmap, overview, progress
from dashboard.answers.windows import DayWindow, date_in, last_days
from dashboard.questions.parameters import LastMonth, LastYear, zone
from dashboard.questions.question import Answer, Inquiry, json_reply
from schemas.answers.meta import DaysMeta
from storage.answers.aggregates import LearnerRecord


@dataclass(frozen=True, slots=True)
class _Reading:
    record: LearnerRecord
    window: DayWindow
    meta: DaysMeta


async def learning_overview(inquiry: Inquiry[LastMonth]) -> Answer:
    """Sessions, materials, XP, level, streaks and achievements of a learner's last days."""
    reading = await _read(inquiry)
    answer = overview(reading.record, reading.window, inquiry.services.curve, reading.meta)
    return Answer(json_reply(answer), inquiry.parameters.span())


async def learning_heatmap(inquiry: Inquiry[LastYear]) -> Answer:
    """A learner's calendar: activity, minutes and XP of every day."""
    reading = await _read(inquiry)
    answer = heatmap(reading.record, reading.window, reading.meta)
    return Answer(json_reply(answer), inquiry.parameters.span())


async def gamification_progress(inquiry: Inquiry[LastMonth]) -> Answer:
    """A learner's level, XP, achievements, and the XP of every day."""
    reading = await _read(inquiry)
    answer = progress(reading.record, reading.window, inquiry.services.curve, reading.meta)
    return Answer(json_reply(answer), inquiry.parameters.span())


async def _read(inquiry: Inquiry[LastMonth] | Inquiry[LastYear]) -> _Reading:
    services, query = inquiry.services, inquiry.parameters
    pseudonyms = services.authenticator.learner(inquiry.caller, query.user_id)
    now = services.clock()
    # sampled before the database is read
    consistent_through = services.freshness.consistent_through
    today = date_in(zone(query.tz), now)
    record = await services.answers.learner(pseudonyms, today, query.days, now, services.session_timeout)
    window = last_days(record.reference_day, query.days)
    meta = DaysMeta(
        consistent_through=consistent_through,
        generated_at=now,
        from_=window.first,
        to=window.last,
        timezone=query.tz,
    )
    return _Reading(record, window, meta)
