"""Accepted demo events, as input for the stages behind ingest."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from cli.demo.traffic import demo_events
from ingest.acceptance.accept import Acceptance, Arrival, accept
from ingest.server import acceptance_policy
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.entry import ROW, WireEvent, decode, pack
from schemas.events import EVENT

PSEUDONYM_KEYS = f"1:{secrets.token_hex(32)}"
"""Key of this process and of the servers it starts."""


def backlog(count: int, settings: Settings, users: int = 10_000, days: int = 30) -> Iterator[WireEvent]:
    """Yield accepted demo events of all types, by `users` learners in the last `days` days, 5 % of them repeated."""
    now = datetime.now(UTC)
    policy = acceptance_policy(settings)
    arrival = Arrival.at(now, policy)
    for raw in demo_events(seed=1, users=users, count=count, now=now, history_days=days):
        accepted = accept(EVENT.validate_python(raw, strict=False), policy, "bench", arrival)
        assert isinstance(accepted, Acceptance), accepted
        yield accepted.event


def typed(event: WireEvent) -> AcceptedEvent:
    """Return the event in the types of a client that writes to the database directly."""
    return decode({ROW: pack(event).encode()})
