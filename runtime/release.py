"""The release of this code."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def release() -> str:
    """Return the version of the installed package; "unknown" if it is not installed."""
    try:
        return version("studyin-analytics")
    except PackageNotFoundError:
        return "unknown"
