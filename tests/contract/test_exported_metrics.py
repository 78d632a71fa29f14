"""Each kind of process exports the metrics that its code can change, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import get_args

import grimp
import pytest
from prometheus_client.metrics import MetricWrapperBase

from dashboard.live.tally import Transport
from storage.batches.batch import BatchCounts
from storage.batches.id_conflicts import Difference
from telemetry import labels, leader_facts, metrics
from telemetry.exposition import render
from telemetry.leader_gauge import LeaderGauge
from telemetry.roles import EXPORTED, LEADER_FACTS, Role, registry_of
from web.server.connection_limits import RefusalReason

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "runtime", "telemetry", "web", "stream", "storage", "ingest", "processors", "dashboard", "cli")
INTERNAL_EVENTS = "telemetry.internal_events"
DECLARING = {"metrics": metrics, "leader_facts": leader_facts}
KINDS = (MetricWrapperBase, LeaderGauge)
MAIN = {
    Role.INGEST: "ingest.server",
    Role.WORKER: "processors.store.worker",
    Role.LIVE_WORKER: "processors.live.worker",
    Role.MAINTENANCE: "processors.maintenance.process",
    Role.DASHBOARD: "dashboard.server",
}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


@cache
def syntax(module: str) -> ast.Module:
    place = ROOT / module.replace(".", "/")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def attributes(tree: ast.AST, owner: str) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner
    }


def metrics_in(tree: ast.AST) -> set[str]:
    return {
        name
        for owner, module in DECLARING.items()
        for name in attributes(tree, owner)
        if isinstance(getattr(module, name, None), KINDS)
    }


def declared() -> dict[str, MetricWrapperBase | LeaderGauge]:
    return {
        name: value for module in DECLARING.values() for name, value in vars(module).items() if isinstance(value, KINDS)
    }


def internal_events_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == INTERNAL_EVENTS:
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom) and node.module == "telemetry":
            for name in node.names:
                if name.name == "internal_events":
                    yield from attributes(tree, name.asname or name.name)


def changed_by(module: str) -> set[str]:
    tree = syntax(module)
    changing = {
        node.name: metrics_in(node) for node in syntax(INTERNAL_EVENTS).body if isinstance(node, ast.FunctionDef)
    }
    return metrics_in(tree).union(*(changing.get(name, set()) for name in internal_events_in(tree)))


def changeable(role: Role) -> set[str]:
    modules = {MAIN[role], *graph().find_upstream_modules(MAIN[role])}
    # both refer to every metric, in every process
    return set().union(*(changed_by(module) for module in modules - {INTERNAL_EVENTS, "telemetry.roles"}))


@pytest.mark.parametrize("role", Role)
def test_a_process_exports_what_its_code_can_change_and_nothing_else(role: Role) -> None:
    named = {id(value): name for name, value in declared().items()}
    assert {named[id(collector)] for collector in EXPORTED[role]} == changeable(role)


def test_every_metric_is_exported_by_some_process() -> None:
    assert set().union(*EXPORTED.values()) == set(declared().values())


def test_every_fact_of_the_leader_is_measured_by_a_chore_there_is() -> None:
    files = (ROOT / "processors" / "maintenance").glob("*.py")
    chores = {name for file in files for name in re.findall(r'\bChore\(\s*"(\w+)"', file.read_text(encoding="utf-8"))}
    assert {fact.chore for fact in LEADER_FACTS} - {None} <= chores


@pytest.mark.parametrize("role", Role)
def test_a_scrape_has_the_families_of_the_role_and_those_of_the_process(role: Role) -> None:
    scraped = set(re.findall(r"^# TYPE (\S+)", render(registry_of(role))[0].decode(), flags=re.MULTILINE))
    ours = {name for name in scraped if name.startswith("analytics_")}
    exported = {family.name for collector in EXPORTED[role] for family in collector.collect()}
    assert {name.removesuffix("_total").removesuffix("_info") for name in ours} == exported
    assert "process_resident_memory_bytes" in scraped
    assert not {name for name in scraped if name.endswith("_created")}


def test_every_label_value_is_one_that_some_code_emits() -> None:
    """Each value is used as a member of its enum, or is derived from a word in the code."""
    emitting = [
        file.read_text(encoding="utf-8")
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if file.relative_to(ROOT).as_posix() != "telemetry/labels.py"
    ]
    never = [
        f"{enum.__name__}.{member.name}"
        for enum in vars(labels).values()
        if isinstance(enum, type) and issubclass(enum, StrEnum)
        for member in enum
        if not any(f"{enum.__name__}.{member.name}" in text or f'"{member.value}"' in text for text in emitting)
    ]
    assert never == []


def test_label_values_are_those_of_the_code_below_or_above_telemetry() -> None:
    assert tuple(labels.StoreResult) == BatchCounts._fields
    assert tuple(labels.ConnectionRefusal) == get_args(RefusalReason)
    assert tuple(labels.IdDifference) == get_args(Difference)
    assert tuple(labels.LiveTransport) == get_args(Transport)
