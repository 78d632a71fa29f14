"""The hook of `make hooks` refuses a commit that `make check` would refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """An empty repository with the hooks and the .venv of this one."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    git(tmp_path, "init", "--quiet")
    for name, value in {
        "core.hooksPath": ROOT / ".pre-commit" / "hooks",
        "user.name": "a",
        "user.email": "a@b",
    }.items():
        git(tmp_path, "config", name, str(value))
    return tmp_path


def git(folder: Path, *arguments: str) -> int:
    return subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True).returncode


def commit(folder: Path, name: str, content: str) -> bool:
    (folder / name).write_text(content)
    git(folder, "add", name)
    return git(folder, "commit", "--quiet", "--message", "change") == 0


@pytest.mark.needs_tool("git")
@pytest.mark.parametrize("bad", ["x = ( 1 )\n", "import os\n"], ids=["format", "lint"])
def test_a_file_that_ruff_refuses_is_not_committed(clone: Path, bad: str) -> None:
    assert not commit(clone, "a file.py", bad)
    assert commit(clone, "a file.py", "x = 1\n")


@pytest.mark.needs_tool("git")
def test_only_what_is_committed_is_looked_at(clone: Path) -> None:
    (clone / "draft.py").write_text("import os\n")
    assert commit(clone, "page.md", "import os\n")
