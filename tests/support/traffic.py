"""Realistic accepted events and poison, appended to a stream without ingest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

from redis.asyncio import Redis

from cli.demo.traffic import demo_events
from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.server import acceptance_policy
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import decode
from schemas.events import EVENT
from stream.keys import stream_key
from tests.support import access
from tests.support.entries import append_events, as_read

POISON = {b"event_type": b"no_such_type"}


@cache
def demo_traffic(count: int, seed: int = 7) -> tuple[AcceptedEvent, ...]:
    """Return accepted events of twenty learners and all types, including duplicates and late events."""
    settings = Settings.model_validate({"pseudonym_keys": access.PSEUDONYM_KEYS})
    policy = acceptance_policy(settings)
    now = datetime.now(UTC)
    events = []
    for raw in demo_events(seed=seed, users=20, count=count, now=now, history_days=10):
        accepted = accept(EVENT.validate_python(raw, strict=False), policy, "tests", Arrival.at(now, policy))
        assert isinstance(accepted, Acceptance), accepted
        events.append(decode(as_read(accepted.event)))
    return tuple(events)


async def append_with_poison(redis: Redis, events: Sequence[AcceptedEvent], every: int) -> set[UUID]:
    """Append the events, with one poison entry before every `every` events; return their ids."""
    for start in range(0, len(events), every):
        await redis.xadd(stream_key(0), dict(POISON.items()))
        await append_events(redis, events[start : start + every])
    return {event.event_id for event in events}
