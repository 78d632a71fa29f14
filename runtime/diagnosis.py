"""Findings of `analytics doctor`: a fact, its status, and the fix of a problem."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

MAX_SKEW: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    """Stable name for programs, such as `redis.eviction`."""
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""
    """What to do; empty if the status is ok."""


def check(name: str, good: bool, detail: str, fix: str, *, otherwise: Literal["warn", "fail"] = "fail") -> Finding:
    """Return a finding that is ok when `good`, else `otherwise` with its fix."""
    return Finding(name, "ok", detail) if good else Finding(name, otherwise, detail, fix)


def check_clock(name: str, skew: timedelta, reason: str) -> Finding:
    """Check by how much the clock of a server is ahead of that of this machine. `reason`: why that matters."""
    return check(
        name,
        abs(skew) < MAX_SKEW,
        f"{abs(skew).total_seconds():.1f} s {'behind' if skew < timedelta(0) else 'ahead of'} this machine",
        f"synchronize both clocks by NTP: {reason}",
        otherwise="warn",
    )
