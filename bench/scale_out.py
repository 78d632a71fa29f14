"""Measures the effect of more workers and more partitions of the stream, and the waits of their transactions.

A worker reads every partition and has at most one transaction per partition at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.backlog import PSEUDONYM_KEYS, backlog
from bench.drain import drain
from bench.figures import Figure, Point
from bench.servers import BATCH_SIZE, fresh_servers, verify
from bench.size import Size
from runtime.settings import Settings
from schemas.entry import WireEvent


async def measure(size: Size) -> list[Figure]:
    """Measure each number of partitions with each number of workers, on new servers each time."""
    events = list(backlog(size.scale_events, Settings.model_validate({"pseudonym_keys": PSEUDONYM_KEYS})))
    return [
        figure
        for partitions in size.scales
        for workers in size.scales
        for figure in await _measured(events, partitions, workers)
    ]


async def _measured(events: Sequence[WireEvent], partitions: int, workers: int) -> list[Figure]:
    async with fresh_servers() as servers:
        drained = await drain(servers, events, workers, BATCH_SIZE, partitions)
        environment = servers.environment() | {"ANALYTICS_STREAM_PARTITIONS": str(partitions)}
        await verify(servers.directory, len(events), environment)
    curve = f"{partitions} partition{'s' if partitions > 1 else ''}"
    name = f"scale-out: {curve}, {workers} worker{'s' if workers > 1 else ''}"
    lock_ms = drained.sessions.busy("lock") * len(events) / drained.per_second / drained.batches * 1_000
    return [
        Figure(
            name,
            drained.per_second,
            "/s",
            note=f"transactions: {drained.sessions.shares()}",
            point=Point("scale-out", curve, workers, "workers"),
        ),
        Figure(f"{name}: lock waits per batch", lock_ms, "ms"),
    ]
