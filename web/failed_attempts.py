"""Rate limit for invalid credentials, by network address.

Valid credentials always pass, also from an address with failures. Addresses are kept in memory only and never logged.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from web.network_site import site_of
from web.problems import Refusal

BURST: Final = 20
"""Maximum failures at once, after a pause."""
PER_SECOND: Final = 1.0
MAX_ADDRESSES: Final = 10_000
"""Maximum addresses kept. Beyond it, the address with the oldest failure is dropped, to bound the memory."""


class FailedAttempts:
    """A leaky bucket of failures for each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: the level of the bucket, and the time it was computed."""

    def count_failure(self, address: str | None, refusal: Refusal) -> Refusal:
        """Count a failure from `address`. Return `refusal`, or a 429 when the limit is exceeded."""
        now = self._clock()
        site = site_of(address)
        spent, at = self._spent.pop(site, (0.0, now))
        spent = max(0.0, spent - (now - at) * PER_SECOND)
        limited = spent + 1 > BURST
        self._spent[site] = (spent if limited else spent + 1, now)
        if len(self._spent) > MAX_ADDRESSES:
            self._spent.popitem(last=False)
        if not limited:
            return refusal
        seconds = math.ceil((spent + 1 - BURST) / PER_SECOND)
        return Refusal(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_failures",
            "Too many requests with invalid credentials from your network address.",
            headers={"retry-after": str(seconds)},
        )
