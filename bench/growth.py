"""Measures how throughput and latency change with the number of stored events.

Each number of events has fresh servers that are filled anew. First dashboards send requests at a modest rate; then one
worker drains a backlog, as in the stage `store`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg

from bench.backlog import PSEUDONYM_KEYS, backlog
from bench.drain import drain
from bench.figures import Figure, Point, Target
from bench.fill import Base, fill, known_learners, make_base
from bench.memory import peak_bytes
from bench.questions import of_dashboards
from bench.servers import BATCH_SIZE, Servers, dashboard, fresh_servers, verify
from bench.size import Size
from bench.waits import wait_for_answers
from runtime.settings import Settings
from schemas.entry import WireEvent
from storage.batches.rollups import RAW_EVENTS, ROLLUPS

_READS_PER_SECOND: Final = 200
_READ_CONNECTIONS: Final = 100
_JUDGED: Final = 0.95
_FEWEST: Final = 100_000
"""Below this number everything fits in memory, and the figures say nothing about growth."""

_STORE_TARGET: Final = Target(0.8, 0.95)
_READ_TARGET: Final = Target(1.5, 1.1)
_BYTES: Final = f"""
SELECT
    (SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = '{RAW_EVENTS}'::regclass)::bigint,
    (SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest($1::text[]) AS name)::bigint
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure at one number of stored events."""

    plot: str
    curve: str
    value: float
    unit: str
    target: Target | None = None
    """Target for the ratio of the value at the most stored events to that at the fewest."""
    note: str = ""


async def measure(size: Size) -> list[Figure]:
    """Measure at each number of events, then the change from the fewest to the most."""
    if not size.growth_events:
        return []
    settings = Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})
    # waiting events are of the last hours, whatever is stored already
    events = list(backlog(size.backlog_events, settings, days=1))
    base = make_base(max(size.growth_events))
    found = {stored: await _measured(base, stored, events, size.read_seconds) for stored in size.growth_events}
    return [*_figures(found), *changes(found)]


def changes(found: Mapping[int, Sequence[Measured]]) -> list[Figure]:
    """Return, for each curve with a target, the ratio of the value at the most stored events to that at the fewest."""
    stored = [number for number in sorted(found) if number >= _FEWEST]
    if len(stored) < 2:
        return []
    fewest, most = stored[0], stored[-1]
    before = {each.curve: each for each in found[fewest]}
    return [
        Figure(
            f"growth: {each.curve}, {most:,} / {fewest:,} stored",
            each.value / before[each.curve].value,
            "x",
            target=each.target,
            # when requests queued, the ratio shows the length of the run, not the slowdown
            note=_notes({fewest: before[each.curve], most: each}),
        )
        for each in found[most]
        if each.target
    ]


def _notes(found: Mapping[int, Measured]) -> str:
    return "; ".join(f"at {stored:,}: {each.note}" for stored, each in found.items() if each.note)


def _figures(found: Mapping[int, Sequence[Measured]]) -> list[Figure]:
    return [
        Figure(
            f"growth: {each.curve}, {stored:,} stored",
            each.value,
            each.unit,
            note=each.note,
            point=Point(f"growth-{each.plot}", each.curve, stored),
        )
        for stored, those in found.items()
        for each in those
    ]


async def _measured(base: Base, stored: int, events: Sequence[WireEvent], read_seconds: float) -> list[Measured]:
    found: list[Measured] = []
    async with fresh_servers() as servers:
        if stored:
            await fill(servers, base, stored)
            found += await _disk(servers, stored)
            found += await _reads(servers, known_learners(base, stored), read_seconds)
        found += await _stores(servers, events)
        await verify(servers.directory, stored + len(events), servers.environment())
    return found


async def _disk(servers: Servers, stored: int) -> list[Measured]:
    connection = await asyncpg.connect(servers.database_url)
    [(raw, aggregates)] = await connection.fetch(_BYTES, [rollup.table for rollup in ROLLUPS])
    await connection.close()
    return [
        Measured("bytes", "an event in Postgres", raw / stored, "B"),
        Measured("bytes", "aggregates, for each event", aggregates / stored, "B"),
    ]


async def _reads(servers: Servers, learners: Sequence[str], seconds: float) -> list[Measured]:
    found: list[Measured] = []
    async with dashboard(servers) as service:
        for name, questions in of_dashboards(learners, datetime.now(UTC)).items():
            waits = await wait_for_answers(
                service.url,
                servers,
                questions,
                seconds,
                per_second=_READS_PER_SECOND,
                connections=_READ_CONNECTIONS,
            )
            curve = f"{name} p{_JUDGED * 100:g}"
            found.append(Measured("read", curve, waits.percentile(_JUDGED), "ms", _READ_TARGET, waits.note))
        memory = peak_bytes(service.pid)
    return [*found, Measured("memory", "memory of the read service", memory / 1e6, "MB")]


async def _stores(servers: Servers, events: Sequence[WireEvent]) -> list[Measured]:
    drained = await drain(servers, events, 1, BATCH_SIZE)
    return [
        Measured("store", "stored by one worker", drained.per_second, "/s", _STORE_TARGET),
        Measured("memory", "memory of the worker", max(drained.worker_peaks) / 1e6, "MB"),
        Measured("bytes", "an event in Redis", drained.entry_bytes, "B"),
    ]
