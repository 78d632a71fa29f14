"""Accepted demo events, for whatever comes after ingest."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from cli.demo_traffic import demo_events
from ingest.accept import Acceptance, accept
from ingest.server import acceptance_policy
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from schemas.events import EVENT

PSEUDONYM_KEYS = f"1:{secrets.token_hex(32)}"
"""Of this process, and of the servers it starts."""


def backlog(count: int, settings: Settings, users: int = 10_000) -> Iterator[AcceptedEvent]:
    """Yield accepted demo events of all types, of so many learners and the last 30 days, 5 % of them repeated."""
    now = datetime.now(UTC)
    policy = acceptance_policy(settings)
    for raw in demo_events(seed=1, users=users, count=count, now=now, history_days=30):
        accepted = accept(EVENT.validate_python(raw, strict=False), policy, "bench", now)
        assert isinstance(accepted, Acceptance), accepted
        yield accepted.event
