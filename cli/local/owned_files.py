"""Files of `analytics up` in its data directory: opened only where nobody else can have put them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from studyin_analytics.owned_files import open_owned, require_owned

from runtime.errors import ConfigurationError

_READABLE: Final = 0o644


def open_for_us(file: Path, flags: int) -> int:
    """Open a file for writing, made if it is not there; return its descriptor.

    Raises ConfigurationError for a link, a file of another user and whatever else `open_owned` refuses.
    """
    try:
        return open_owned(file, os.O_WRONLY | os.O_CREAT | flags, _READABLE)
    except PermissionError as error:
        raise _refusal(file, error) from None


def require_ours(file: Path) -> None:
    """Check a file that a server of ours will open. Raises ConfigurationError as `open_for_us` does."""
    try:
        require_owned(file)
    except PermissionError as error:
        raise _refusal(file, error) from None


def _refusal(file: Path, error: PermissionError) -> ConfigurationError:
    return ConfigurationError(f"{file}: {error.strerror}; remove it, or give another --data-dir")
