"""Directories that a server of another user can reach, unlike pytest's own when run as root."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MEMORY = Path("/dev/shm")
_LEAST_FREE_BYTES = 2 * 1024**3


@contextlib.contextmanager
def reachable_directory(parent: Path | None = None) -> Iterator[Path]:
    """Create a directory for the block, in the directory of temporary files unless a parent is given."""
    place = Path(tempfile.mkdtemp(prefix="studyin-analytics-test-", dir=parent))
    place.chmod(0o711)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def parent_for_many_files() -> Path | None:
    """Return a file system in memory with room for the databases of a test run; None if there is none.

    A database is a thousand files. Where many were deleted in the last minutes, ext4 takes a second to create them.
    """
    if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _LEAST_FREE_BYTES:
        return _MEMORY
    return None
