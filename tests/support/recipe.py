"""Reads the recipe of a document and applies it: a path in backticks on a separate line, then blocks of `diff`.

A block has lines to find, which begin with a blank, then lines to add, which begin with `+`. A block without lines to
find appends to the file, or creates it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PIECES = re.compile(r"^`(?P<path>[^`\n]+)`$|^```diff\n(?P<block>.*?)^```$", re.MULTILINE | re.DOTALL)


class Change(NamedTuple):
    """Lines to add to a file, after the lines to find."""

    path: str
    found: str
    added: str


def changes_of(document: str) -> Iterator[Change]:
    """Yield the changes of a document, in order. Raises ValueError for a block without a path."""
    path = None
    for piece in _PIECES.finditer(document):
        path = piece["path"] or path
        if piece["block"] is not None:
            if path is None:
                raise ValueError("a block of the recipe has no path before it")
            lines = piece["block"].splitlines(keepends=True)
            found = "".join(line[1:] for line in lines if line[0] == " ")
            yield Change(path, found, "".join(line[1:] for line in lines if line[0] == "+"))


def apply(change: Change, tree: Path) -> None:
    """Apply the change to a tree of files. Raises ValueError unless the lines to find occur exactly once."""
    file = tree / change.path
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if not change.found:
        file.write_text(text + change.added, encoding="utf-8")
        return
    if text.count(change.found) != 1:
        raise ValueError(f"{change.path} has these lines {text.count(change.found)} times:\n{change.found}")
    file.write_text(text.replace(change.found, change.found + change.added), encoding="utf-8")
