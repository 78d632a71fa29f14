"""Checks for event names of Segment clients that are not mapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runtime.diagnosis import Finding, check
from stream.registry.unmapped import Unmapped

_MAX_LISTED: Final = 20


def check_unmapped(names: Sequence[Unmapped]) -> Finding:
    """Check for event names of Segment clients that are not mapped. `names`: most frequent first."""
    listed = [f"{one.name} ({one.times}x, last {one.last_seen:%Y-%m-%d %H:%M} UTC)" for one in names[:_MAX_LISTED]]
    listed += [f"and {len(names) - _MAX_LISTED} more"] if len(names) > _MAX_LISTED else []
    return check(
        "segment.unmapped",
        not names,
        f"not stored: {', '.join(listed)}" if names else "no Segment client used an unknown name",
        "map each name in the file of ANALYTICS_SEGMENT_MAPPING, or stop sending it; calls such as identify() are never"
        " stored. See docs/segment.md",
        otherwise="warn",
    )
