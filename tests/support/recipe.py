"""Reads the recipes of a document and applies them: a path in backticks on a line of its own, then blocks of `diff`.

Lines of a block that begin with a blank or `-` must be in the file, together and once. Those with a blank or `+` take
their place. A block of `+` lines only continues the file at its end, or creates it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from storage.database.revision import head_revision

ROOT = Path(__file__).parents[2]

_NOT_COPIED = (".git", ".venv*", ".data", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info")
_PIECES = re.compile(r"^`(?P<path>[^`\n]+)`$|^```diff\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)


class Change(NamedTuple):
    """Lines of a file, and the lines that replace them."""

    path: str
    old: str
    new: str


def section_of(document: str, title: str) -> str:
    """Return the text below a heading of the second level. Raises ValueError without the heading."""
    _, heading, rest = document.partition(f"\n## {title}\n")
    if not heading:
        raise ValueError(f"the document has no section {title!r}")
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def changes_of(recipe: str) -> Iterator[Change]:
    """Return the changes of a recipe, in order. Raises ValueError for a block that belongs to no path."""
    path = None
    for piece in _PIECES.finditer(recipe):
        path = piece["path"] or path
        if piece["block"] is not None:
            if path is None:
                raise ValueError("a block of the recipe has no path before it")
            lines = piece["block"].splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            yield Change(path, old, "".join(line[1:] for line in lines if line[0] in " +"))


def apply(change: Change, tree: Path) -> None:
    """Make the change in a tree of files. Raises ValueError unless the lines to find are there exactly once."""
    file = tree / change.path
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if not change.old:
        file.write_text(text + change.new, encoding="utf-8")
        return
    if text.count(change.old) != 1:
        raise ValueError(f"{change.path} has these lines {text.count(change.old)} times:\n{change.old}")
    file.write_text(text.replace(change.old, change.new), encoding="utf-8")


def recipe(title: str) -> list[Change]:
    """Return the changes of a recipe of CONTRIBUTING.md, with the numbers of the migration filled in."""
    last = head_revision()
    section = section_of((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), title)
    return list(changes_of(section.replace("NNNN", f"{int(last) + 1:04}").replace("MMMM", last)))


def copy_tree(place: Path) -> None:
    """Copy the files of the project to a new directory."""
    shutil.copytree(ROOT, place, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))


def run_module(tree: Path, *arguments: str) -> str:
    """Run a Python module in a tree, whose packages come before those that are installed; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tree, check=False, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def follow(title: str, tree: Path) -> None:
    """Apply a recipe to the tree and check the style of the files that it touches."""
    changes = recipe(title)
    for change in changes:
        apply(change, tree)
    touched = sorted({change.path for change in changes if change.path.endswith(".py")})
    run_module(tree, "ruff", "check", *touched)
    run_module(tree, "ruff", "format", "--check", *touched)
