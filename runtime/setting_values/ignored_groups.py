"""ANALYTICS_TRIM_IGNORE_GROUPS: consumer groups of other tools that trimming does not wait for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

OWN_GROUPS: Final = frozenset({"store", "live"})
"""Groups of this system. stream/keys.py has them too; a test compares both."""


def split_names(text: str) -> list[object]:
    """Return the items of a JSON list or a comma-separated list. Raises ValueError."""
    if not text.lstrip().startswith("["):
        return [name.strip() for name in text.split(",")]
    items: list[object] = json.loads(text)
    return items


def validate_ignored_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names without duplicates and empty ones. Raises ValueError for a group of this system."""
    groups = tuple(dict.fromkeys(name for name in names if name))
    if own := sorted(OWN_GROUPS.intersection(groups)):
        raise ValueError(f"{' and '.join(own)}: trimming always waits for the groups of this system")
    return groups
