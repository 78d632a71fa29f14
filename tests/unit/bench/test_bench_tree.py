"""The code that is measured is that of the given tree, not that of the bench."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.servers import verify
from bench.system import running
from bench.tree import Tree


@pytest.fixture
def other(tmp_path: Path) -> Tree:
    """A tree whose command line only says that it is another one."""
    package = tmp_path / "other" / "cli"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text("raise SystemExit('the other tree')\n")
    return Tree(package.parent)


async def test_the_system_of_the_tree_runs(other: Tree, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the other tree"):
        async with running(tmp_path, 1, other):
            pass


async def test_the_tree_verifies_its_own_data(other: Tree, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the other tree"):
        await verify(tmp_path, 0, tree=other)
