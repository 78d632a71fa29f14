"""The recipes of CONTRIBUTING.md work: each is applied to a copy of the tree, and tests run there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.recipe import copy_tree, follow, run_module


def write_documents(tree: Path, *modules: str) -> None:
    """Run those commands of `make docs` that begin with one of the modules."""
    commands = re.findall(
        r"^\t\$\(BIN\)/python -m (.*)$", (tree / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    made = [command for command in commands if command.startswith(modules)]
    assert len(made) >= len(modules)
    for command in made:
        arguments, _, file = command.partition(" > ")
        printed = run_module(tree, *arguments.split())
        if file:
            (tree / file).write_text(printed, encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy_tree(tmp_path / "tree")
    return tmp_path / "tree"


def check(tree: Path, *tests: str) -> None:
    run_module(tree, "pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.timeout(300)
def test_an_event_type_is_added_as_the_recipe_says(tree: Path) -> None:
    follow("Add an event type", tree)
    write_documents(tree, "schemas.", "ingest.openapi", "dashboard.openapi")
    check(
        tree,
        "tests/contract",
        # a recipe cannot be followed twice
        "--ignore=tests/contract/test_recipes.py",
        "tests/integration/test_counters.py",
        "tests/sdk/test_trackers.py",
        "tests/unit/cli/test_demo_traffic.py",
    )


@pytest.mark.timeout(120)
def test_a_setting_is_added_as_the_recipe_says(tree: Path) -> None:
    follow("Add a setting", tree)
    write_documents(tree, "runtime.settings_table")
    assert "| `ANALYTICS_LAG_MEASURE_SECONDS` | `5` |" in (tree / "docs" / "configuration.md").read_text("utf-8")
    check(
        tree,
        "tests/contract/test_documents.py::test_the_table_of_settings_is_current_and_explains_each",
        "tests/integration/test_lag_setting.py",
    )


@pytest.mark.timeout(120)
def test_a_rollup_is_added_as_the_recipe_says(tree: Path) -> None:
    follow("Add a rollup", tree)
    check(
        tree,
        "tests/contract/test_event_catalogue.py",
        "tests/integration/test_counters.py",
        "tests/integration/test_migrations.py::test_up_down_and_up_again",
        "tests/integration/test_least_privilege.py::test_each_role_has_the_rights_of_the_table_and_no_others",
        "tests/integration/test_storage.py::test_retention_drops_raw_events_and_keeps_their_aggregates",
    )


@pytest.mark.timeout(120)
def test_a_metric_and_an_alert_are_added_as_the_recipe_says(tree: Path) -> None:
    follow("Add a metric and an alert", tree)
    write_documents(tree, "telemetry.metrics_table")
    check(
        tree,
        "tests/contract/test_documents.py::test_the_table_of_metrics_is_current_and_explains_each",
        "tests/contract/test_exported_metrics.py",
        "tests/contract/test_deploy.py",
        "tests/contract/test_runbook.py",
        "tests/integration/test_redis_fragmentation.py",
    )
