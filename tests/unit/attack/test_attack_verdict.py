from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attack.attempt import Attempt, Form, Service
from attack.delivery import Answer
from attack.verdict import (
    Bounds,
    Cost,
    Finding,
    Measure,
    Measured,
    Snapshot,
    confirmed,
    documented_codes,
    findings_of,
    is_doubtful,
    settled_findings,
)
from attack.watch import Probe

BOUNDS = Bounds(documented=frozenset({"queue_full"}))
HARMLESS = Cost(
    livez_seconds=0.020,
    calm_seconds=0.004,
    machine_seconds=0.002,
    cpu_seconds=0.010,
    peak_bytes=1_000_000,
    log_bytes=300,
    new_series=2,
)
REFUSED = {Answer(422, "personal_data"): 1}
ATTEMPT = Attempt("seed", Service.INGEST, Form.BATCH, b"[")


def measured(attempt: Attempt = ATTEMPT, answers: Mapping[Answer, int] = REFUSED, **changes: Any) -> Measured:
    costs = {"ingest": HARMLESS, "worker": replace(HARMLESS, **changes)}
    return Measured(attempt, 0.1, len(attempt.payload), answers, costs)


def test_what_costs_little_is_no_finding() -> None:
    assert findings_of(measured(), BOUNDS) == []


@pytest.mark.parametrize(
    ("measure", "changes"),
    [
        (Measure.LIVEZ, {"livez_seconds": 0.053}),
        (Measure.LIVEZ, {"livez_seconds": math.inf}),
        (Measure.CPU, {"cpu_seconds": 1.1}),
        (Measure.PEAK_MEMORY, {"peak_bytes": 70_000_000}),
        (Measure.LOG, {"log_bytes": 3_000}),
        (Measure.SERIES, {"new_series": 61}),
        (Measure.DEATH, {"is_alive": False}),
    ],
)
def test_each_cost_beyond_its_bound_is_a_finding(measure: Measure, changes: dict[str, Any]) -> None:
    [finding] = findings_of(measured(**changes), BOUNDS)

    assert (finding.measure, finding.service, finding.attempt) == (measure, "worker", ATTEMPT)
    assert finding.value > finding.bound


@pytest.mark.parametrize(
    ("answer", "is_found"),
    [
        (Answer(500, "defect"), True),
        (Answer(501, ""), True),
        (Answer(503, "queue_full"), False),
        (Answer(503, "invented"), True),
        (Answer(503, ""), True),
        (Answer(499, ""), False),
    ],
)
def test_a_server_error_is_a_finding_unless_it_is_documented(answer: Answer, is_found: bool) -> None:
    found = findings_of(measured(answers={answer: 3}), BOUNDS)

    assert [(one.measure, one.service, one.value) for one in found] == [(Measure.SERVER_ERROR, "ingest", 3)] * is_found


@pytest.mark.parametrize(("status", "is_found"), [(202, True), (307, True), (400, False), (401, False)])
def test_an_input_that_must_be_refused_is_a_finding_when_it_is_not(status: int, is_found: bool) -> None:
    attempt = replace(ATTEMPT, must_be_refused=True)

    found = findings_of(measured(attempt, {Answer(status, ""): 1}), BOUNDS)

    assert [one.measure for one in found] == [Measure.ADMITTED] * is_found
    assert findings_of(measured(attempt.mutant(b"{"), {Answer(status, ""): 1}), BOUNDS) == []


def test_a_slow_machine_is_no_finding() -> None:
    assert findings_of(measured(livez_seconds=0.25, machine_seconds=0.21), BOUNDS) == []
    assert findings_of(measured(livez_seconds=0.25, calm_seconds=0.1), BOUNDS) == []


def test_many_requests_may_cost_as_much_as_that_many_single_ones() -> None:
    crowd = replace(ATTEMPT, connections=50)

    assert findings_of(measured(crowd, log_bytes=50 * 300, cpu_seconds=1.5), BOUNDS) == []
    assert [one.measure for one in findings_of(measured(crowd, log_bytes=200_000), BOUNDS)] == [Measure.LOG]


@pytest.mark.parametrize(
    ("after", "measures"),
    [
        (Snapshot(110_000_000, 250), []),
        (Snapshot(200_000_000, 250), [Measure.SETTLED_MEMORY]),
        (Snapshot(90_000_000, 601), [Measure.SERIES]),
    ],
)
def test_what_is_kept_after_the_attack_is_a_finding(after: Snapshot, measures: list[Measure]) -> None:
    found = settled_findings({"ingest": Snapshot(100_000_000, 200)}, {"ingest": after}, BOUNDS)

    assert [one.measure for one in found] == measures


def test_only_a_timed_figure_near_its_bound_is_doubtful() -> None:
    def of(measure: Measure, value: float) -> Finding:
        return Finding(measure, "ingest", value, 0.05)

    assert is_doubtful(of(Measure.LIVEZ, 0.06))
    assert is_doubtful(of(Measure.CPU, 0.4))
    assert not is_doubtful(of(Measure.LIVEZ, 0.6))
    assert not is_doubtful(of(Measure.LIVEZ, math.inf))
    assert not is_doubtful(of(Measure.SERVER_ERROR, 0.06))


def test_a_timed_figure_is_believed_when_most_measurements_agree() -> None:
    assert confirmed([True, True, False])
    assert not confirmed([True, False, False])


def test_the_codes_of_the_documents_are_the_documented_ones() -> None:
    codes = documented_codes((Path(__file__).parents[3] / "docs/api.md").read_text())

    assert {"queue_full", "storage_unavailable", "search_too_wide", "too_many_subscribers"} <= codes
    assert "invented" not in codes


def test_a_probe_without_an_answer_counts_while_it_waited_and_no_longer() -> None:
    failed = Probe(started=10.0, seconds=2.0, is_good=False)

    assert failed.latency == math.inf
    assert failed.overlaps(11.0, 20.0)
    assert not failed.overlaps(12.5, 20.0)
    assert not failed.overlaps(1.0, 9.0)
    assert Probe(10.0, 2.0, is_good=True).latency == 2.0
