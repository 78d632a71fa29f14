"""Latency of the read service at a constant rate over many connections.

The latency of an answer counts from the moment its request was due. If the service cannot keep up, requests queue and
the latencies show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import Order, Sendable, send
from bench.servers import Servers
from bench.settled import percentile

_WARM_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 120.0
"""Maximum time after the end until a queued request is sent. A request that waits longer ends the run."""

_ANSWERS: Final = frozenset({"200", "503"})


@dataclass(frozen=True, slots=True)
class Waits:
    """The latencies of requests of one kind."""

    answered: Sequence[float]
    """Sorted seconds from due to answered; at least one."""
    refused: int = 0
    """Number of requests that were refused because of overload."""
    queued: int = 0
    """Number of requests that were due and not answered at the end; 0 if below one second's worth."""

    def percentile(self, share: float) -> float:
        """Return the latency in milliseconds within which this share of all requests was answered.

        A refused request counts as slower than every answered one. If this share was not answered, the result is a
        lower bound.
        """
        every = [*self.answered, *[self.answered[-1]] * self.refused]
        return percentile(every, share) * 1_000

    @property
    def note(self) -> str:
        """Return the caveat for the percentiles; empty if the service kept up."""
        asked = len(self.answered) + self.refused
        refused = f"{self.refused:,} of {asked:,} questions were refused (503)" if self.refused else ""
        queued = f"{self.queued:,} questions had queued at the end" if self.queued else ""
        return ", ".join(filter(None, (refused, queued)))


async def wait_for_answers(
    url: str, servers: Servers, questions: Sendable, seconds: float, *, per_second: int, connections: int
) -> Waits:
    """Send requests for `seconds`. Raises RuntimeError for an answer but 200 or a refusal, or if all were refused."""
    order = Order(
        url,
        servers.access.read_key,
        questions,
        connections,
        seconds,
        warm_seconds=_WARM_SECONDS,
        per_second=per_second,
        late_seconds=_LATE_SECONDS,
    )
    sent = await send(order)
    if not _ANSWERS.issuperset(sent.answers) or not sent.times:
        raise RuntimeError(f"not everything was answered: {dict(sent.answers)}")
    return Waits(sorted(sent.times), sent.failed, sent.unanswered if sent.unanswered >= per_second else 0)
