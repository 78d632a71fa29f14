"""Checks a commit out beside the tree that is worked on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Refused(ValueError):
    """Two commits cannot be compared. The message has the cause and the fix."""


def resolve(root: Path, revision: str) -> str:
    """Return the id of the commit. Raises Refused without git or a full clone, and for an unknown revision."""
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise Refused("this clone is shallow and may lack the commit: run `git fetch --unshallow`")
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except Refused:
        raise Refused(f"unknown revision: {revision}") from None


def describe(root: Path) -> str:
    """Return the commit of a tree, marked if files were changed since."""
    return _git(root, "describe", "--always", "--dirty")


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """Check the commit out into a temporary worktree for the block."""
    with tempfile.TemporaryDirectory(prefix="studyin-analytics-against-", ignore_cleanup_errors=True) as place:
        tree = Path(place).resolve() / "tree"
        try:
            _git(root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
            yield tree
        finally:
            if tree.exists():
                _git(root, "worktree", "remove", "--force", str(tree))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise Refused("git is not installed, and a commit can only be compared with it") from None
    except subprocess.CalledProcessError as error:
        raise Refused(f"git {arguments[0]} in {root}: {error.stderr.strip()}") from None
    return done.stdout.strip()
