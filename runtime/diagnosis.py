"""What `analytics doctor` finds: a fact, whether it is good, and the fix where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    name: str
    """Stable word for programs, such as `redis.eviction`."""
    status: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""
    """What to do; empty when all is well."""


def check(name: str, good: bool, detail: str, fix: str, *, otherwise: Literal["warn", "fail"] = "fail") -> Finding:
    """Return a finding that is ok when `good`, else `otherwise` with its fix."""
    return Finding(name, "ok", detail) if good else Finding(name, otherwise, detail, fix)
