"""Gauges that the leader of maintenance alone exports, and only while they are fresh.

The facts of a former leader vanish, and so do those of a chore that fails. A missing series can be alerted on; an old
number looks like a current one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

FRESH_INTERVALS: Final = 3
"""A fact is exported for this many intervals of the chore that measures it."""


class LeaderTerm:
    """Whether this process leads maintenance, and how often each chore runs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self.clock = clock
        self.intervals: Mapping[str, timedelta] = {}
        self._began: float | None = None

    def plan(self, intervals: Mapping[str, timedelta]) -> None:
        """Set the interval of each chore."""
        self.intervals = dict(intervals)

    def begin(self) -> None:
        """Begin a term. Facts of an earlier term are not exported again."""
        self._began = self.clock()

    def end(self) -> None:
        """End the term: no fact is exported."""
        self._began = None

    def exports(self, recorded_at: float, chore: str | None) -> bool:
        """Return whether a fact is exported that `chore` recorded at this time; None: a fact of the term itself."""
        if self._began is None or recorded_at < self._began:
            return False
        if chore is None:
            return True
        interval = self.intervals.get(chore)
        return interval is not None and self.clock() - recorded_at <= FRESH_INTERVALS * interval.total_seconds()


class Fact(NamedTuple):
    """The last value of a series, and when it was recorded by the clock of the term."""

    value: float
    recorded_at: float


class LeaderGauge(Collector):
    """A gauge of the leader. Has no series in other processes, and none that are older than three intervals."""

    def __init__(
        self,
        term: LeaderTerm,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        chore: str | None,
        registry: CollectorRegistry,
    ) -> None:
        """`chore` is the name of the chore that measures it; None: it lasts as long as the term."""
        self.name = name
        self.documentation = documentation
        self.labels = tuple(labels)
        self.chore = chore
        self.facts: dict[tuple[str, ...], Fact] = {}
        """The last fact of each series, exported or not."""
        self._term = term
        registry.register(self)

    def set(self, value: float, *label_values: str) -> None:
        """Record the value of a series. The number of combinations of label values must be bounded."""
        if len(label_values) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {len(label_values)} of them")
        self.facts[label_values] = Fact(value, self._term.clock())

    def describe(self) -> list[Metric]:
        """Return the family without series."""
        return [GaugeMetricFamily(self.name, self.documentation, labels=self.labels)]

    def collect(self) -> list[Metric]:
        """Return the family with the series that are exported now."""
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        # a copy: another thread collects while the event loop records
        for label_values, fact in list(self.facts.items()):
            if self._term.exports(fact.recorded_at, self.chore):
                family.add_metric(label_values, fact.value)
        return [family]
