"""Decides which figures are findings. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from attack.attempt import Attempt
from attack.delivery import Answer

_MEBIBYTE: Final = 1024**2

_CODE: Final = re.compile(r"`([a-z_]{1,64})`")


class Measure(StrEnum):
    """A measured quantity."""

    LIVEZ = "livez"
    CPU = "cpu"
    PEAK_MEMORY = "peak memory"
    SETTLED_MEMORY = "settled memory"
    SERVER_ERROR = "server error"
    LOG = "log"
    SERIES = "series"
    DEATH = "death"
    ADMITTED = "admitted"
    FROZEN = "frozen"


_TIMED: Final = (Measure.LIVEZ, Measure.CPU)
"""Measures that a busy machine can distort."""
_BEYOND_DOUBT: Final = 10.0
"""Multiple of the bound above which a figure is trusted without another measurement."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The maximum cost of a hostile input."""

    livez_seconds: float = 0.050
    """Latency of `/livez`, less the delay that the machine caused."""
    calm_factor: float = 3.0
    """Allowed multiple of the latency without attack, if that is higher."""
    cpu_seconds: float = 1.0
    """Processor time of one attempt, per connection and MiB."""
    peak_bytes: int = 64 * _MEBIBYTE
    settled_bytes: int = 64 * _MEBIBYTE
    log_bytes_per_answer: int = 2_048
    new_series: int = 60
    """New time series of one attempt: the first response of its kind on its route."""
    new_series_in_all: int = 400
    documented: frozenset[str] = frozenset()
    """Codes that a 503 may have."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an attempt to one service."""

    livez_seconds: float
    """Highest latency of `/livez`; infinite when it was not answered."""
    calm_seconds: float
    """The 99th percentile without attack."""
    machine_seconds: float
    """Delay caused by the machine: latency of the reference at the time, or wait of the service for a processor."""
    cpu_seconds: float
    peak_bytes: int
    """Peak growth of the memory."""
    log_bytes: int
    new_series: int
    is_alive: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """An attempt and its cost."""

    attempt: Attempt
    seconds: float
    sent_bytes: int
    answers: Mapping[Answer, int]
    costs: Mapping[str, Cost]
    """Cost by service: the attacked one, and those behind it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An exceeded bound."""

    measure: Measure
    service: str
    value: float
    bound: float
    detail: str = ""
    attempt: Attempt | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A service at rest, before or after the run."""

    resident_bytes: int
    series: int


def documented_codes(text: str) -> frozenset[str]:
    """Return the codes that a Markdown document names."""
    return frozenset(_CODE.findall(text))


def findings_of(measured: Measured, bounds: Bounds) -> list[Finding]:
    """Return every bound that an attempt exceeded."""
    found = [each for service, cost in measured.costs.items() for each in _of_cost(service, cost, measured, bounds)]
    return found + _of_answers(measured, bounds.documented)


def settled_findings(before: Mapping[str, Snapshot], after: Mapping[str, Snapshot], bounds: Bounds) -> list[Finding]:
    """Return the resources that services failed to release after the attack."""
    found = []
    for service, then in before.items():
        now = after[service]
        grown = now.resident_bytes - then.resident_bytes
        if grown > bounds.settled_bytes:
            found.append(Finding(Measure.SETTLED_MEMORY, service, grown, bounds.settled_bytes))
        added = now.series - then.series
        if added > bounds.new_series_in_all:
            found.append(Finding(Measure.SERIES, service, added, bounds.new_series_in_all, "in all"))
    return found


def livez_bound(cost: Cost, bounds: Bounds) -> float:
    """Return the highest latency of `/livez` that is no finding, in seconds."""
    return max(bounds.livez_seconds, bounds.calm_factor * cost.calm_seconds) + cost.machine_seconds


def is_doubtful(finding: Finding) -> bool:
    """Return whether a busy machine may have caused the finding, so that it must be measured again."""
    return finding.measure in _TIMED and finding.value < _BEYOND_DOUBT * finding.bound


def confirmed(seen: Sequence[bool]) -> bool:
    """Return whether most measurements of the same input exceeded a bound."""
    return sum(seen) * 2 > len(seen)


def _of_cost(service: str, cost: Cost, measured: Measured, bounds: Bounds) -> list[Finding]:
    attempt = measured.attempt
    if not cost.is_alive:
        return [Finding(Measure.DEATH, service, 1, 0, attempt=attempt)]
    mebibytes = max(1.0, measured.sent_bytes / attempt.connections / _MEBIBYTE)
    answers = max(1, attempt.connections, sum(measured.answers.values()))
    figures = (
        (Measure.LIVEZ, cost.livez_seconds, livez_bound(cost, bounds)),
        (Measure.CPU, cost.cpu_seconds, bounds.cpu_seconds * answers * mebibytes),
        (Measure.PEAK_MEMORY, cost.peak_bytes, bounds.peak_bytes),
        (Measure.LOG, cost.log_bytes, bounds.log_bytes_per_answer * answers),
        (Measure.SERIES, cost.new_series, bounds.new_series),
    )
    return [
        Finding(measure, service, value, bound, attempt=attempt) for measure, value, bound in figures if value > bound
    ]


def _of_answers(measured: Measured, documented: frozenset[str]) -> list[Finding]:
    attempt = measured.attempt
    found = []
    for answer, count in measured.answers.items():
        detail = f"{answer.status} {answer.code}"
        is_documented = answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.code in documented
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not is_documented:
            found.append(Finding(Measure.SERVER_ERROR, attempt.service, count, 0, detail, attempt))
        elif attempt.must_be_refused and answer.status < HTTPStatus.BAD_REQUEST:
            found.append(Finding(Measure.ADMITTED, attempt.service, count, 0, detail, attempt))
    return found
