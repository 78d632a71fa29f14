"""The failures of an event that was sent alone, and when to give the event up. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

PATIENCE_SECONDS: Final = 72 * 3_600.0
"""Maximum time for an event that keeps failing while no other event proves that ingest works: a long weekend."""


class Suspicion(NamedTuple):
    """The record of an event that failed alone."""

    tries: int
    """Number of failed requests with this event alone."""
    strikes: int
    """Number of those failures that count."""
    since: float
    """Unix time of the first failure."""
    settled: int
    """Number of events the store had settled at the last failure."""


def suspicion_after(before: Suspicion | None, settled: int, now: float) -> Suspicion:
    """Return the record after one more failure.

    The failure counts only if other events were settled since the previous try. In an outage no failure counts.
    """
    if before is None:
        return Suspicion(1, 0, now, settled)
    strikes = before.strikes + (settled > before.settled)
    return Suspicion(before.tries + 1, strikes, before.since, settled)


def is_poison(suspicion: Suspicion, max_attempts: int, now: float) -> bool:
    """Return whether to give the event up: enough strikes, or enough tries over PATIENCE_SECONDS."""
    is_old = now - suspicion.since >= PATIENCE_SECONDS
    return suspicion.strikes >= max_attempts or (is_old and suspicion.tries > max_attempts)
