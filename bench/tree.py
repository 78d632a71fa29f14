"""A working tree of this repository, and the Python that runs its code."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree whose own code runs, whatever is installed in the environment of `python`."""

    root: Path
    python: str = sys.executable

    def command(self, *module: str) -> list[str]:
        """Return the command for `python -m module`. Run it in `root` with `environment`."""
        return [self.python, "-m", *module]

    def environment(self) -> dict[str, str]:
        """Return the variables with which a process and all processes it starts import the code of this tree."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join((str(self.root), str(self.root / "sdk")))}


THIS: Final = Tree(Path(__file__).parents[1])
"""The tree of this file."""
