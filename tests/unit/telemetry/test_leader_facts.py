"""Facts of the leader: exported by the leader alone, while they are fresh."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from telemetry import internal_events, metrics
from telemetry.exposition import render
from telemetry.leader_gauge import LeaderGauge, LeaderTerm


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def term(clock: Clock) -> LeaderTerm:
    term = LeaderTerm(clock)
    term.plan({"measure": timedelta(seconds=5)})
    return term


def gauge(term: LeaderTerm, chore: str | None = "measure") -> LeaderGauge:
    return LeaderGauge(term, "facts", "Facts.", ["stream"], chore=chore, registry=CollectorRegistry())


def values(gauge: LeaderGauge) -> dict[str, float]:
    [family] = gauge.collect()
    return {sample.labels["stream"]: sample.value for sample in family.samples}


def test_a_process_that_does_not_lead_exports_nothing(term: LeaderTerm) -> None:
    measured = gauge(term)
    measured.set(1, "a")
    assert values(measured) == {}


def test_the_leader_exports_what_it_measured(term: LeaderTerm) -> None:
    measured = gauge(term)
    term.begin()
    measured.set(1, "a")
    measured.set(2, "b")
    measured.set(3, "a")
    assert values(measured) == {"a": 3, "b": 2}


def test_a_former_leader_exports_nothing(term: LeaderTerm) -> None:
    measured = gauge(term)
    term.begin()
    measured.set(1, "a")
    term.end()
    assert values(measured) == {}


def test_facts_of_an_earlier_term_do_not_come_back(term: LeaderTerm, clock: Clock) -> None:
    measured = gauge(term)
    term.begin()
    measured.set(1, "a")
    term.end()
    clock.seconds += 1
    term.begin()
    assert values(measured) == {}


def test_a_fact_that_is_older_than_three_intervals_of_its_chore_vanishes_alone(term: LeaderTerm, clock: Clock) -> None:
    measured = gauge(term)
    term.begin()
    measured.set(1, "old")
    clock.seconds += 15
    measured.set(2, "new")
    assert values(measured) == {"old": 1, "new": 2}
    clock.seconds += 0.1
    assert values(measured) == {"new": 2}


def test_a_fact_of_the_term_lasts_as_long_as_the_term(term: LeaderTerm, clock: Clock) -> None:
    lasting = gauge(term, chore=None)
    term.begin()
    lasting.set(1, "a")
    clock.seconds += 1e6
    assert values(lasting) == {"a": 1}


def test_a_fact_of_an_unknown_chore_is_not_exported(term: LeaderTerm) -> None:
    measured = gauge(term, chore="another")
    term.begin()
    measured.set(1, "a")
    assert values(measured) == {}


def test_a_family_without_series_has_no_value_in_a_scrape(term: LeaderTerm) -> None:
    registry = CollectorRegistry()
    LeaderGauge(term, "facts", "Facts.", chore="measure", registry=registry)
    assert render(registry)[0].decode().splitlines() == ["# HELP facts Facts.", "# TYPE facts gauge"]


def test_every_chore_has_its_series_before_its_first_run() -> None:
    internal_events.prepare_chores({"sweep": timedelta(seconds=7)})
    for outcome in ("ok", "failed"):
        labels = {"chore": "sweep", "outcome": outcome}
        assert metrics.registry.get_sample_value("analytics_maintenance_runs_total", labels) == 0
    internal_events.leadership_changed(leads=True)
    exported = {
        name: metrics.registry.get_sample_value(f"analytics_maintenance_{name}", {"chore": "sweep"})
        for name in ("interval_seconds", "last_success_timestamp_seconds")
    }
    internal_events.leadership_changed(leads=False)
    assert exported == {"interval_seconds": 7, "last_success_timestamp_seconds": 0}


def test_a_wrong_number_of_label_values_is_refused(term: LeaderTerm) -> None:
    with pytest.raises(ValueError, match="stream"):
        gauge(term).set(1)
