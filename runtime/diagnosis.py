"""Findings of `analytics doctor`: a fact, its status, and the fix of a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
