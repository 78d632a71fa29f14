"""Limits how often an address may show credentials that are not good.

Good credentials always pass, whatever their neighbours behind the same address did: the limit is for those who guess,
and a guess of 190 bits needs no help to fail. Addresses are held in memory only, and never logged.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from runtime.network_site import site_of
from runtime.refusal import Refusal

BURST: Final = 20
"""Failures at once, after a pause."""
PER_SECOND: Final = 1.0
MOST_ADDRESSES: Final = 10_000
"""Beyond which the one that failed longest ago is forgotten: strangers must not fill the memory."""


class FailedAttempts:
    """A bucket of failures for each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only grow."""
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: failures not forgiven yet, and when they were counted."""

    def judge(self, address: str | None, refusal: Refusal) -> Refusal:
        """Count a failure from `address`; return `refusal`, or a 429 in its place when there were too many."""
        now = self._clock()
        site = site_of(address)
        spent, at = self._spent.pop(site, (0.0, now))
        spent = max(0.0, spent - (now - at) * PER_SECOND)
        limited = spent + 1 > BURST
        self._spent[site] = (spent if limited else spent + 1, now)
        if len(self._spent) > MOST_ADDRESSES:
            self._spent.popitem(last=False)
        if not limited:
            return refusal
        seconds = math.ceil((spent + 1 - BURST) / PER_SECOND)
        return Refusal(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_failures",
            "Too many requests from here had no good credentials.",
            headers={"retry-after": str(seconds)},
        )
