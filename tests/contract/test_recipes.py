"""The blocks of the recipes of CONTRIBUTING.md fit the files that they change. Drills also run tests on the result."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipe import copy_tree, follow, recipe

EVENT_TYPE = "Add an event type"


@pytest.mark.parametrize("title", [EVENT_TYPE, "Add a setting", "Add a rollup", "Add a metric and an alert"])
def test_a_recipe_can_be_followed(title: str, tmp_path: Path) -> None:
    copy_tree(tmp_path / "tree")
    follow(title, tmp_path / "tree")


def test_an_event_type_with_a_counter_takes_six_files_and_a_migration() -> None:
    touched = {change.path for change in recipe(EVENT_TYPE)}
    migration = {path for path in touched if path.startswith("migrations/")}
    code = {path for path in touched - migration if not path.startswith("tests/")}

    assert len({path.partition(".")[0] for path in migration}) == 1
    assert len(code) <= 6
