"""Guided search: keeps the most expensive inputs and mutates them. Seeded, pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from attack import bodies, frames, heads
from attack.attempt import Attempt, Form, Service
from attack.mutation import mutate
from schemas.limits import MAX_EVENT_BYTES

KEPT: Final = 6
"""Number of inputs of one form that are kept for their total cost, and for their cost per byte."""

_FRESH: Final = 0.4
_LONGEST_SPOTTED: Final = 1.0
"""In seconds. Inputs that take longer, because they wait, are too slow for the search."""
_OVERHEAD_BYTES: Final = 4_096
"""Added to every size, so that the fixed cost of a request does not favour the smallest inputs."""

_Generator = Callable[[Random], bytes]

_GENERATORS: Final[dict[Service, Sequence[tuple[Form, str, _Generator]]]] = {
    Service.INGEST: (
        (Form.BATCH, "runs of fragments", bodies.runs),
        (Form.TRACK, "runs of fragments", lambda rng: bodies.runs(rng)[:MAX_EVENT_BYTES]),
        (Form.GZIP_BATCH, "runs of fragments", bodies.runs),
        (Form.BATCH, "events", bodies.events),
        (Form.SEGMENT, "messages", bodies.messages),
        (Form.TEXTS, "texts", bodies.text),
        (Form.TEXTS, "texts", bodies.text),
        (Form.RAW, "heads", heads.head),
    ),
    Service.DASHBOARD: (
        (Form.RAW, "heads", heads.head),
        (Form.RAW, "heads", heads.head),
        (Form.FRAMES, "frames", frames.frames),
    ),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """An input and its cost in seconds."""

    attempt: Attempt
    cost: float

    @property
    def rate(self) -> float:
        """Seconds per byte."""
        return self.cost / (len(self.attempt.payload) + _OVERHEAD_BYTES)


class Search:
    """Proposes inputs for one service and learns from their cost."""

    def __init__(self, service: Service, rng: Random) -> None:
        self._service = service
        self._rng = rng
        self._numbers = count(1)
        self._kept: dict[Form, list[Scored]] = {}
        self._closed: set[str] = set()

    def propose(self) -> Attempt:
        """Return a new input, or a mutant of an expensive one."""
        form, name, generate = self._rng.choice(_GENERATORS[self._service])
        kept = self._kept.get(form)
        if not kept or self._rng.random() < _FRESH:
            lineage = f"{name} {next(self._numbers)}"
            return Attempt(lineage, self._service, form, generate(self._rng))
        parent, other = self._rng.choice(kept).attempt, self._rng.choice(kept).attempt
        return parent.mutant(mutate(parent.payload, other.payload, self._rng))

    def learn(self, attempt: Attempt, cost: float, seconds: float) -> None:
        """Keep an input if it is among the most expensive. `seconds` is how long it took in total."""
        is_plain = attempt.connections == attempt.repeat == 1 and not attempt.hold_seconds
        if attempt.lineage in self._closed or seconds > _LONGEST_SPOTTED or not is_plain:
            return
        scored = [*self._kept.get(attempt.form, ()), Scored(attempt, cost)]
        by_cost = sorted(scored, key=lambda one: one.cost, reverse=True)[:KEPT]
        by_rate = sorted(scored, key=lambda one: one.rate, reverse=True)[:KEPT]
        self._kept[attempt.form] = by_cost + [one for one in by_rate if one not in by_cost]

    def close(self, lineage: str) -> None:
        """Drop all descendants of an input whose fault is known, so that the search finds other faults."""
        self._closed.add(lineage)
        self._kept = {
            form: [one for one in kept if one.attempt.lineage != lineage] for form, kept in self._kept.items()
        }

    def worst(self, form: Form) -> Sequence[Scored]:
        """Return the kept inputs of a form."""
        return self._kept.get(form, ())
