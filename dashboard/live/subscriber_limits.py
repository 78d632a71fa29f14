"""Limits of live connections: per process, per caller, per network address."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from dashboard.live.tally import Transport
from telemetry import internal_events as telemetry
from web.network_site import site_of
from web.problems import Refusal


@dataclass(frozen=True, slots=True)
class Holder:
    """The caller and the address that a connection is counted for."""

    caller: Hashable
    """Equal for all tokens of one learner, and for all uses of one key."""
    address: str | None


class SubscriberLimits:
    """Counts the live connections of this process. WebSockets and Server-Sent Events share the limits."""

    def __init__(self, limit: int, per_caller: int | None = None, per_address: int | None = None) -> None:
        """Set the limits; None: no limit."""
        self._limit = limit
        self._per_caller = per_caller
        self._per_address = per_address
        self._taken = 0
        self._callers: Counter[Hashable] = Counter()
        self._sites: Counter[str] = Counter()

    def check(self, holder: Holder) -> None:
        """Raise Refusal at a limit: 429 for this caller or address, 503 for the process."""
        if self._per_caller is not None and self._callers[holder.caller] >= self._per_caller:
            raise _refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_live_connections",
                f"These credentials already have {self._per_caller} live connections; close one first.",
            )
        if self._per_address is not None and self._sites[site_of(holder.address)] >= self._per_address:
            raise _refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_live_connections_from_address",
                f"Your network address already has {self._per_address} live connections; close one first.",
            )
        if self._taken >= self._limit:
            raise _refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too_many_subscribers",
                "This process has the maximum number of live connections; retry later.",
            )

    @contextlib.contextmanager
    def taken(self, transport: Transport, holder: Holder) -> Iterator[Callable[[], None]]:
        """Count a connection until the block ends or the yielded function is called. Raises Refusal (429 or 503)."""
        self.check(holder)
        self._change(holder, 1)
        telemetry.live_subscribed(transport, 1)
        is_held = True

        def release() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                self._change(holder, -1)
                telemetry.live_subscribed(transport, -1)

        try:
            yield release
        finally:
            release()

    def _change(self, holder: Holder, change: int) -> None:
        self._taken += change
        site = site_of(holder.address)
        self._callers[holder.caller] += change
        self._sites[site] += change
        if not self._callers[holder.caller]:
            del self._callers[holder.caller]
        if not self._sites[site]:
            del self._sites[site]


def _refusal(status: HTTPStatus, code: str, detail: str) -> Refusal:
    return Refusal(status, code, detail, headers={"Retry-After": str(random.randint(5, 15))})
