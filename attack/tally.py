"""The results of a run so far: the worst input of each measure, and every exceeded bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from attack.attempt import Attempt
from attack.verdict import Cost, Finding, Measure, Measured

MAX_FINDINGS: Final = 8
"""Maximum findings of one measure and service. With as many, the run looks no further there."""


@dataclass(frozen=True, slots=True)
class Worst:
    """The highest figure of a measure, and the input that caused it."""

    measure: Measure
    service: str
    value: float
    attempt: Attempt


class Tally:
    """Collects figures and findings."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        """Number by service and form."""
        self.answers: Counter[int] = Counter()
        """Number by status."""
        self.findings: list[Finding] = []
        self._worst: dict[tuple[Measure, str], Worst] = {}

    def record(self, measured: Measured) -> None:
        """Count an attempt and record its figures if they are the worst."""
        attempt = measured.attempt
        self.attempts[f"{attempt.service}, {attempt.form}"] += 1
        for answer, count in measured.answers.items():
            self.answers[answer.status] += count
        for service, cost in measured.costs.items():
            for measure, value in _figures(cost):
                known = self._worst.get((measure, service))
                if value > 0 and (known is None or value > known.value):
                    self._worst[measure, service] = Worst(measure, service, value, attempt)

    def is_full(self, finding: Finding) -> bool:
        """Return whether there are enough findings of this kind."""
        alike = sum(one.measure is finding.measure and one.service == finding.service for one in self.findings)
        return alike >= MAX_FINDINGS

    def worst(self) -> list[Worst]:
        """Return the worst input of each measure and service."""
        return sorted(self._worst.values(), key=lambda one: (one.measure, one.service))


def _figures(cost: Cost) -> Iterator[tuple[Measure, float]]:
    # subtract the delay that the machine caused
    yield Measure.LIVEZ, cost.livez_seconds - cost.machine_seconds
    yield Measure.CPU, cost.cpu_seconds
    yield Measure.PEAK_MEMORY, cost.peak_bytes
    yield Measure.LOG, cost.log_bytes
    yield Measure.SERIES, cost.new_series
