"""The two trees of a comparison: which code each runs, and with which Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.against.pairs import Name
from bench.against.revision import Refused, checked_out, describe, resolve
from bench.against.subprocesses import run
from bench.tree import Tree

_REQUIREMENTS: Final = ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")
_IMPORT: Final = """
import importlib, json, sys
from bench.__main__ import STAGES
places = {name: list(importlib.import_module(name).__path__) for name in sys.argv[1:]}
print(json.dumps({"stages": list(STAGES), "places": places}))
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two trees."""

    name: Name
    tree: Tree
    commit: str
    """The commit, marked if files were changed since."""
    environment: str
    """Where the packages come from that the code needs."""
    stages: Sequence[str]
    """The stages of its bench."""

    def require_unchanged(self, commit: str) -> None:
        """Raise RuntimeError unless a run was of this commit."""
        if commit != self.commit:
            raise RuntimeError(f"{self.tree.root} changed from {self.commit} to {commit} during the comparison")


@contextmanager
def both_sides(root: Path, revision: str, say: Callable[[str], None]) -> Iterator[dict[Name, Side]]:
    """Prepare both trees for the block. Raises Refused, and RuntimeError if a tree does not run its own code.

    `say` receives a message before an installation, which takes minutes.
    """
    commit = resolve(root, revision)
    with checked_out(root, commit) as place:
        logs = place.parent
        if _has_same_requirements(root, place):
            tree, environment = Tree(place), "this environment: the requirements are the same"
        else:
            say(f"{revision} has other requirements: make install ...")
            tree, environment = _installed(place, logs), "its own environment, by its `make install`"
        yield {
            "before": _side("before", tree, environment, logs),
            "now": _side("now", Tree(root), "this environment", logs),
        }


def _has_same_requirements(one: Path, other: Path) -> bool:
    return all(_content(one / name) == _content(other / name) for name in _REQUIREMENTS)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _installed(root: Path, logs: Path) -> Tree:
    version = sys.version_info
    # the same interpreter: another one is faster or slower
    python = f"PYTHON={sys.base_prefix}/bin/python{version.major}.{version.minor}"
    run(["make", "install", python], root, Tree(root).environment(), logs / "install.log")
    return Tree(root, str(root / ".venv/bin/python"))


def _side(name: Name, tree: Tree, environment: str, logs: Path) -> Side:
    """Return the side. Raises RuntimeError if a package of the tree is imported from elsewhere."""
    folders = {path.parent for place in (tree.root, tree.root / "sdk") for path in place.glob("*/__init__.py")}
    command = [tree.python, "-c", _IMPORT, *sorted(folder.name for folder in folders)]
    found = json.loads(run(command, tree.root, tree.environment(), logs / f"{name}-imports.log"))
    imported = {Path(place) for places in found["places"].values() for place in places}
    if imported != folders:
        raise RuntimeError(f"{name} would run the code of {', '.join(sorted(map(str, imported - folders)))}")
    return Side(name, tree, describe(tree.root), environment, found["stages"])


def require_stages(side: Side, stages: Sequence[str]) -> None:
    """Raise Refused unless the bench of the side has the stages."""
    if missing := [stage for stage in stages if stage not in side.stages]:
        raise Refused(f"the bench of {side.commit} has no stage {', '.join(missing)}; choose others with --only")
