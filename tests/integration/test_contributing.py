"""The recipe of CONTRIBUTING.md, applied to a copy of the tree, adds the new event type everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage.database.revision import head_revision
from tests.support.recipe import Change, apply, changes_of

ROOT = Path(__file__).parents[2]
NOT_COPIED = (".git", ".venv*", ".data", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info")

CONFIRMED_BY = (
    "tests/contract",
    "tests/integration/test_counters.py",
    "tests/sdk/test_trackers.py",
    "tests/unit/cli/test_demo_traffic.py",
)


def recipe() -> list[Change]:
    """Return the changes in the document, with the number of the migration filled in."""
    last = head_revision()
    document = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return list(changes_of(document.replace("NNNN", f"{int(last) + 1:04}").replace("MMMM", last)))


def run(tree: Path, *arguments: str) -> str:
    """Run a Python module in a tree, whose packages take precedence over installed ones; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tree, check=False, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_documents(tree: Path) -> None:
    """Run the commands of `make docs` for events and answers."""
    commands = re.findall(
        r"^\t\$\(BIN\)/python -m (.*)$", (tree / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    made = [command for command in commands if command.startswith(("schemas.", "ingest.openapi", "dashboard.openapi"))]
    assert len(made) > 3
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


@pytest.mark.timeout(300)
def test_a_type_of_event_is_added_as_the_recipe_says(tree: Path) -> None:
    for change in recipe():
        apply(change, tree)
    write_documents(tree)

    touched = sorted({change.path for change in recipe() if change.path.endswith(".py")})
    run(tree, "ruff", "check", *touched)
    run(tree, "ruff", "format", "--check", *touched)
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", *CONFIRMED_BY)


def test_a_type_of_event_with_a_counter_takes_six_files_and_a_migration() -> None:
    touched = {change.path for change in recipe()}
    migration = {path for path in touched if path.startswith("migrations/")}
    code = {path for path in touched - migration if not path.startswith("tests/")}

    assert len({path.partition(".")[0] for path in migration}) == 1
    assert len(code) <= 6
