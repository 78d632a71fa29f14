"""How long those who ask the read service wait, at a constant rate over many connections.

The time of an answer counts from the moment its question was due: where the service cannot keep up, questions queue and
the times say so.
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
"""How long after the end a question may wait to be asked; one that waits longer ends the run."""

_ANSWERS: Final = frozenset({"200", "503"})


@dataclass(frozen=True, slots=True)
class Waits:
    """Of the questions of one kind."""

    answered: Sequence[float]
    """Seconds from due to answered, in order of their length; at least one."""
    refused: int = 0
    """Questions that were refused because of too many others."""
    queued: int = 0
    """Questions that were due and not answered at the end, where it is a second's worth of them or more."""

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which that share of all questions was answered.

        Who was refused waits longer than anybody who was answered, so where that share was not answered it is at least
        what is returned.
        """
        every = [*self.answered, *[self.answered[-1]] * self.refused]
        return percentile(every, share) * 1_000

    @property
    def note(self) -> str:
        """What must be known beside the percentiles; empty when the service kept up."""
        asked = len(self.answered) + self.refused
        refused = f"{self.refused:,} of {asked:,} questions were refused (503)" if self.refused else ""
        queued = f"{self.queued:,} questions had queued at the end" if self.queued else ""
        return ", ".join(filter(None, (refused, queued)))


async def wait_for_answers(
    url: str, servers: Servers, questions: Sendable, seconds: float, *, per_second: int, connections: int
) -> Waits:
    """Ask for so long. Raises RuntimeError for answers that are neither 200 nor a refusal, or when all were refused."""
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
