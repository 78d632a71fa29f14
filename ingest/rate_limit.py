"""The rate limit of each key: a token bucket, for this process only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from weakref import WeakKeyDictionary

from telemetry import internal_events as telemetry
from telemetry.labels import BackpressureReason
from web.credentials import ApiKey, RateLimit
from web.problems import Refusal

_ROUNDING: Final = 1e-3
"""In tokens: after the announced wait, a rounding error must not delay a sender."""


class TokenBucket:
    """Holds up to `burst` tokens and gains `per_second`. Starts full. One event takes one token."""

    def __init__(self, limit: RateLimit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at = now

    def take(self, count: int, now: float) -> int:
        """Take `count` tokens and return 0, or take none and return the whole seconds until they are available.

        `count` is at most the burst.
        """
        gained = (now - self._at) * self._limit.per_second
        self._tokens, self._at = min(self._limit.burst, self._tokens + gained), now
        if self._tokens + _ROUNDING >= count:
            self._tokens = max(0.0, self._tokens - count)
            return 0
        return math.ceil((count - self._tokens) / self._limit.per_second)


class RateLimiter:
    """The token buckets of all keys with a limit, for as long as the keys are in force."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns monotonic seconds."""
        self._clock = clock
        self._buckets: WeakKeyDictionary[ApiKey, TokenBucket] = WeakKeyDictionary()

    def charge(self, key: ApiKey, count: int) -> None:
        """Take `count` events from the bucket of a key. Raises Refusal: 429 if it is too empty, 413 above the burst."""
        limit = key.rate_limit
        if limit is None:
            return
        if count > limit.burst:
            detail = f"This key may send {limit.burst} events at once; send smaller batches."
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "batch_exceeds_burst", detail)
        now = self._clock()
        bucket = self._buckets.setdefault(key, TokenBucket(limit, now))
        seconds = bucket.take(count, now)
        if seconds:
            telemetry.ingest_refused(BackpressureReason.RATE_LIMITED)
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "rate_limited",
                f"This key may send {limit.per_second:g} events a second; nothing of this request was stored.",
                headers={"retry-after": str(seconds)},
            )
