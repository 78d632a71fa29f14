"""Health checks: whether a process is alive (`/livez`), and whether it may be given work (`/readyz`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from runtime.errors import DependencyUnavailable

_PATIENCE_SECONDS: Final = 1.0


class CheckResult(BaseModel):
    """Result of one check at the moment of the report."""

    name: str
    ok: bool
    detail: str


class HealthReport(BaseModel):
    """Whether the process is alive or ready, and the results of its checks."""

    ok: bool
    checks: list[CheckResult]


@dataclass(frozen=True)
class Check:
    """A check. `run` returns a detail for people, or raises DependencyUnavailable with the cause."""

    name: str
    run: Callable[[], Awaitable[str]]


class Readiness:
    """Whether a process may be given work: each of its checks has passed at least once.

    A later failure is reported and does not end readiness. In an outage of a dependency all replicas would become
    unready together, and the load balancer would answer instead of a process that says when to come back.
    """

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._passed: set[str] = set()

    async def report(self) -> HealthReport:
        """Run all checks concurrently. A check is `ok` if it passes now, the report if each has ever passed.

        A check that has passed before is given up after a second, so that a dependency that hangs does not make the
        probe time out. Other errors of a check than DependencyUnavailable are raised.
        """
        results = await asyncio.gather(*(_run(check, self._patience_for(check)) for check in self._checks))
        self._passed.update(result.name for result in results if result.ok)
        return HealthReport(ok=all(result.name in self._passed for result in results), checks=list(results))

    def _patience_for(self, check: Check) -> float | None:
        return _PATIENCE_SECONDS if check.name in self._passed else None


async def _run(check: Check, seconds: float | None) -> CheckResult:
    try:
        async with asyncio.timeout(seconds):
            detail = await check.run()
    except TimeoutError:
        return CheckResult(name=check.name, ok=False, detail=f"no answer within {_PATIENCE_SECONDS:.0f} s")
    except DependencyUnavailable as error:
        return CheckResult(name=check.name, ok=False, detail=str(error))
    return CheckResult(name=check.name, ok=True, detail=detail)
