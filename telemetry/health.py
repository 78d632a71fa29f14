"""Health checks: whether a process is alive (`/livez`), and whether it may be given work (`/readyz`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from runtime.errors import DependencyUnavailable


class CheckResult(BaseModel):
    """Result of one check."""

    name: str
    ok: bool
    detail: str


class HealthReport(BaseModel):
    """Results of all checks."""

    ok: bool
    checks: list[CheckResult]


@dataclass(frozen=True)
class Check:
    """A check. `run` returns a detail for people, or raises DependencyUnavailable with the cause."""

    name: str
    run: Callable[[], Awaitable[str]]


async def run_checks(checks: Sequence[Check]) -> HealthReport:
    """Run all checks concurrently; return their results."""
    results = await asyncio.gather(*(_run(check) for check in checks))
    return HealthReport(ok=all(result.ok for result in results), checks=list(results))


async def _run(check: Check) -> CheckResult:
    try:
        return CheckResult(name=check.name, ok=True, detail=await check.run())
    except DependencyUnavailable as error:
        return CheckResult(name=check.name, ok=False, detail=str(error))
