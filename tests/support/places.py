"""Directories that a server of another user can reach, unlike pytest's own when run as root."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def reachable_directory() -> Iterator[Path]:
    """Create a directory for the block."""
    place = Path(tempfile.mkdtemp(prefix="studyin-analytics-test-"))
    place.chmod(0o711)
    try:
        yield place
    finally:
        shutil.rmtree(place)
