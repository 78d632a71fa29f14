"""How many may be subscribed at once."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from http import HTTPStatus

from dashboard.live.tally import Transport
from runtime.refusal import Refusal
from telemetry import events as telemetry


class Places:
    """The live connections of this process; as many as `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def check(self) -> None:
        """Raise Refusal (503) when there is no place."""
        if self._taken >= self._limit:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too_many_subscribers",
                "This process has as many live connections as it may; ask again, or another one.",
                headers={"Retry-After": str(random.randint(5, 15))},
            )

    @contextlib.contextmanager
    def taken(self, transport: Transport) -> Iterator[None]:
        """Hold a place for as long as the block runs. Raises Refusal (503)."""
        self.check()
        self._taken += 1
        telemetry.live_subscribed(transport, 1)
        try:
            yield
        finally:
            self._taken -= 1
            telemetry.live_subscribed(transport, -1)
