"""The recipes of CONTRIBUTING.md work: each is applied to a copy of the tree, and tests run there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage.database.revision import head_revision
from tests.support.recipe import Change, apply, changes_of, section_of

ROOT = Path(__file__).parents[2]
NOT_COPIED = (".git", ".venv*", ".data", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info")

EVENT_TYPE = "Add an event type"


def recipe(title: str) -> list[Change]:
    """Return the changes of a recipe, with the numbers of the migration filled in."""
    last = head_revision()
    section = section_of((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), title)
    return list(changes_of(section.replace("NNNN", f"{int(last) + 1:04}").replace("MMMM", last)))


def run(tree: Path, *arguments: str) -> str:
    """Run a Python module in a tree, whose packages come before those that are installed; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tree, check=False, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_documents(tree: Path, *modules: str) -> None:
    """Run those commands of `make docs` that begin with one of the modules."""
    commands = re.findall(
        r"^\t\$\(BIN\)/python -m (.*)$", (tree / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    made = [command for command in commands if command.startswith(modules)]
    assert len(made) >= len(modules)
    for command in made:
        arguments, _, file = command.partition(" > ")
        printed = run(tree, *arguments.split())
        if file:
            (tree / file).write_text(printed, encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy = tmp_path / "tree"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return copy


def follow(title: str, tree: Path) -> None:
    """Apply a recipe to the tree and check the style of the files that it touches."""
    changes = recipe(title)
    for change in changes:
        apply(change, tree)
    touched = sorted({change.path for change in changes if change.path.endswith(".py")})
    run(tree, "ruff", "check", *touched)
    run(tree, "ruff", "format", "--check", *touched)


def check(tree: Path, *tests: str) -> None:
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", *tests)


@pytest.mark.timeout(300)
def test_an_event_type_is_added_as_the_recipe_says(tree: Path) -> None:
    follow(EVENT_TYPE, tree)
    write_documents(tree, "schemas.", "ingest.openapi", "dashboard.openapi")
    check(
        tree,
        "tests/contract",
        "tests/integration/test_counters.py",
        "tests/sdk/test_trackers.py",
        "tests/unit/cli/test_demo_traffic.py",
    )


def test_an_event_type_with_a_counter_takes_six_files_and_a_migration() -> None:
    touched = {change.path for change in recipe(EVENT_TYPE)}
    migration = {path for path in touched if path.startswith("migrations/")}
    code = {path for path in touched - migration if not path.startswith("tests/")}

    assert len({path.partition(".")[0] for path in migration}) == 1
    assert len(code) <= 6


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
        "tests/integration/test_redis_fragmentation.py",
    )
