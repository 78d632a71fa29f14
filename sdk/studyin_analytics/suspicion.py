"""The record of an event that ingest failed on when it was sent alone, and when that is enough to give it up; pure."""

from __future__ import annotations

from typing import Final, NamedTuple

PATIENCE_SECONDS: Final = 72 * 3_600.0
"""How long an event that keeps failing is kept while no other event shows that ingest works: a long weekend."""


class Suspicion(NamedTuple):
    """What is known of an event that failed alone."""

    tries: int
    """Requests with this event alone that failed."""
    strikes: int
    """Those of them that count against it."""
    since: float
    """Unix time of the first."""
    settled: int
    """How many events the store had settled at the last."""


def suspicion_after(before: Suspicion | None, settled: int, now: float) -> Suspicion:
    """Return the record after one more failure.

    It counts only if other events were settled since the try before: an ingest that fails on everything accuses nobody.
    """
    if before is None:
        return Suspicion(1, 0, now, settled)
    strikes = before.strikes + (settled > before.settled)
    return Suspicion(before.tries + 1, strikes, before.since, settled)


def is_poison(suspicion: Suspicion, max_attempts: int, now: float) -> bool:
    """Whether the event is given up: enough strikes, or enough tries over PATIENCE_SECONDS."""
    is_old = now - suspicion.since >= PATIENCE_SECONDS
    return suspicion.strikes >= max_attempts or (is_old and suspicion.tries > max_attempts)
