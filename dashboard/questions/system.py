"""The question about the platform's health."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from dashboard.answers.small_groups import GroupFigures
from dashboard.answers.system import summarize
from dashboard.answers.windows import complete_from, last_hours
from dashboard.questions.parameters import LastDay
from dashboard.questions.question import Answer, Inquiry, json_reply
from dashboard.services import Services
from schemas.answers.meta import HoursMeta
from storage.batches.verify import expiry_cutoff


async def system_metrics(inquiry: Inquiry[LastDay]) -> Answer:
    """Latency, errors, busiest endpoints and active users of the platform's last hours."""
    services, query = inquiry.services, inquiry.parameters
    now = services.clock()
    read = partial(_read, services, query, now)
    answer = await services.shared_metrics.get((query.hours, query.limit), now, read)
    return Answer(json_reply(answer), query.span())


async def _read(services: Services, query: LastDay, now: datetime) -> bytes:
    window = last_hours(now, query.hours)
    meta = HoursMeta(
        consistent_through=services.freshness.consistent_through,
        generated_at=now,
        from_=window.start,
        to=window.end,
        complete_from=complete_from(window, expiry_cutoff(now, services.system_metrics_retention)),
    )
    record = await services.answers.system(window.start, window.end, window.step, query.limit)
    answer = summarize(record, window, meta, GroupFigures(services.min_group_size))
    return answer.model_dump_json(by_alias=True).encode()
