"""Opens files of `analytics up` in its data directory, and refuses files that another user may have placed there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from studyin_analytics.owned_files import open_owned, require_owned

from runtime.errors import ConfigurationError

_READABLE: Final = 0o644


def open_own_file(file: Path, flags: int) -> int:
    """Open a file for writing and return its descriptor. Creates the file if it does not exist.

    Raises ConfigurationError when `open_owned` refuses the file, for example a link or a file of another user.
    """
    try:
        return open_owned(file, os.O_WRONLY | os.O_CREAT | flags, _READABLE)
    except PermissionError as error:
        raise _refusal(file, error) from None


def require_own_file(file: Path) -> None:
    """Validate a file that an embedded server will open. Raises ConfigurationError like `open_own_file`."""
    try:
        require_owned(file)
    except PermissionError as error:
        raise _refusal(file, error) from None


def _refusal(file: Path, error: PermissionError) -> ConfigurationError:
    return ConfigurationError(f"{file}: {error.strerror}; remove it, or give another --data-dir")
