"""One run: idle, the known attacks, the search, idle again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from attack.attempt import Attempt, Form, Service
from attack.gauge import STORED_SECONDS, Gauge
from attack.search import Search
from attack.system import System
from attack.tally import Tally
from attack.verdict import (
    Bounds,
    Finding,
    Measure,
    Measured,
    Snapshot,
    confirmed,
    findings_of,
    is_doubtful,
    settled_findings,
)
from attack.watch import REFERENCE, NeverAnswered, Watch
from bench.settled import percentile

_WARM_ATTEMPTS: Final = 30
_REPEATS: Final = 2
"""How often a finding that depends on time is measured again."""

_GOOD: Final = (
    Attempt(
        "calm",
        Service.INGEST,
        Form.BATCH,
        b'[{"event_type":"xp_earned","user_id":"anna","properties":{"xp_amount":5}},{"event_type":"odd"}]',
    ),
    Attempt("calm", Service.DASHBOARD, Form.RAW, b"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a run."""

    seconds: float
    """Time of attack, without the start, the idle times and the end."""
    seed: int
    seeds: Sequence[Attempt]
    searches: bool = True
    """Whether the time left after the seeds is spent on new inputs."""
    calm_seconds: float = 4.0
    """How long the services are observed without attack, before and after it."""


class _Over(Exception):
    """A service is dead or does not answer: nothing more can be measured."""


class Campaign:
    """Attacks one running system."""

    def __init__(self, system: System, watch: Watch, bounds: Bounds) -> None:
        self.tally = Tally()
        self.is_interrupted = False
        self.calm: Mapping[str, float] = {}
        """Latency of `/livez` of each service without attack: the 99th percentile, in seconds."""
        self.before: Mapping[str, Snapshot] = {}
        self.after: Mapping[str, Snapshot] = {}
        self._system = system
        self._watch = watch
        self._bounds = bounds
        self._gauge = Gauge(system, watch)

    async def run(self, plan: Plan) -> None:
        """Attack. The tally has the findings."""
        await self._calm_down(plan.calm_seconds)
        until = time.monotonic() + plan.seconds
        if not await self._attack_all(plan, until):
            return
        await asyncio.sleep(plan.calm_seconds)
        self.after = await self._gauge.snapshot()
        self.tally.findings += settled_findings(self.before, self.after, self._bounds)

    async def _attack_all(self, plan: Plan, until: float) -> bool:
        """Attack all services concurrently; return whether all of them are alive."""
        survived = True
        try:
            async with asyncio.TaskGroup() as lanes:
                for service in Service:
                    lanes.create_task(self._attack(service, plan, until))
        except* _Over:
            survived = False
        return survived

    async def _calm_down(self, seconds: float) -> None:
        # every service loads code and memory at its first requests
        for _ in range(_WARM_ATTEMPTS):
            await asyncio.gather(*map(self._gauge.measure, _GOOD))
        since = time.monotonic()
        while time.monotonic() < since + seconds:
            await asyncio.gather(*map(self._gauge.measure, _GOOD))
        names = [*(process.name for process in self._system.processes), REFERENCE]
        until = time.monotonic()
        self.calm = {name: percentile(sorted(self._watch.latencies(name, since, until)), 0.99) for name in names}
        self.before = await self._gauge.calm_down(self.calm)

    async def _attack(self, service: Service, plan: Plan, until: float) -> None:
        search = Search(service, Random(f"{plan.seed} {service}"))
        for attempt in plan.seeds:
            if attempt.service is service and time.monotonic() < until:
                await self._try(attempt, search)
        while plan.searches and time.monotonic() < until:
            await self._try(search.propose(), search)

    async def _try(self, attempt: Attempt, search: Search) -> None:
        try:
            measured = await self._gauge.measure(attempt)
            self.tally.record(measured)
            search.learn(attempt, _cost(measured), measured.seconds)
            found = [one for one in findings_of(measured, self._bounds) if not self.tally.is_full(one)]
            for finding in await self._confirmed(attempt, found):
                self._found(finding)
                search.close(attempt.lineage)
                if finding.measure is Measure.DEATH:
                    raise _Over
        except NeverAnswered as frozen:
            self._found(Finding(Measure.FROZEN, str(frozen), 1, 0, attempt=attempt))
            self._kill(str(frozen))
            raise _Over from frozen

    async def _confirmed(self, attempt: Attempt, found: Sequence[Finding]) -> list[Finding]:
        doubtful = [one for one in found if is_doubtful(one)]
        sure = [one for one in found if one not in doubtful]
        if not doubtful:
            return sure
        again = [await self._gauge.measure(attempt, pause=STORED_SECONDS) for _ in range(_REPEATS)]
        seen = [{(one.measure, one.service) for one in findings_of(each, self._bounds)} for each in again]
        for finding in doubtful:
            if confirmed([True, *((finding.measure, finding.service) in each for each in seen)]):
                sure.append(finding)
        return sure

    def _found(self, finding: Finding) -> None:
        self.tally.findings.append(finding)
        print(f"found: {finding.measure}, {finding.service}, {finding.value:g} > {finding.bound:g}", file=sys.stderr)

    def _kill(self, name: str) -> None:
        """Kill a process that may not handle SIGTERM."""
        for process in self._system.processes:
            if process.name == name:
                os.kill(process.pid, signal.SIGKILL)


def _cost(measured: Measured) -> float:
    """Return the cost that the search maximizes, in seconds: processor time and delay of other clients."""
    return sum(
        cost.cpu_seconds + max(0.0, cost.livez_seconds - cost.machine_seconds) for cost in measured.costs.values()
    )
