"""Reads the recipes of a document and applies them: a path in backticks on a line of its own, then blocks of `diff`.

Lines of a block that begin with a blank or `-` must be in the file, together and once. Those with a blank or `+` take
their place. A block of `+` lines only continues the file at its end, or creates it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
