"""The size of a run: how much it measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Size:
    """The size of one run. Seconds are measured time, without start and warm-up."""

    pool_events: int
    """Number of distinct events that senders have. Each cycle over them gives them fresh ids."""
    append_seconds: float
    floor_seconds: float
    backlog_events: int
    drains: tuple[tuple[int, int], ...]
    """Number of workers and batch size of each measurement."""
    workers: tuple[int, ...]
    """Numbers of store workers for which the sustained rate is searched."""
    first_probe: float
    """Rate at which that search starts, in events per second. Lower rates are tried only if it is not held."""
    probe_seconds: float
    held_seconds: float
    latency_seconds: float
    cost_rate: float
    """Events per second at which the processor time of an event is measured."""
    cost_seconds: float
    peer_events: int
    read_events: int
    """Number of stored events before requests begin."""
    read_seconds: float
    """Seconds per endpoint."""
    growth_events: tuple[int, ...]
    """Numbers of stored events at which growth is measured, ascending; empty to skip the stage."""
    scale_events: int
    scales: tuple[int, ...]
    """Numbers of partitions, and of workers; empty to skip the stage."""


FULL: Final = Size(
    pool_events=40_000,
    append_seconds=10,
    floor_seconds=5,
    backlog_events=200_000,
    drains=((1, 1_000), (1, 4_000), (2, 1_000), (2, 4_000)),
    workers=(2,),
    first_probe=8_000,
    probe_seconds=8,
    held_seconds=60,
    latency_seconds=20,
    cost_rate=4_000,
    cost_seconds=30,
    peer_events=60_000,
    read_events=100_000,
    read_seconds=3,
    growth_events=(0, 100_000, 1_000_000),
    scale_events=50_000,
    scales=(1, 2, 4),
)
LONG: Final = replace(
    FULL, workers=(1, 2), read_events=10_000_000, growth_events=(0, 100_000, 1_000_000, 5_000_000, 10_000_000)
)
QUICK: Final = Size(
    pool_events=10_000,
    append_seconds=1,
    floor_seconds=0.5,
    backlog_events=30_000,
    drains=((1, 1_000),),
    workers=(1,),
    first_probe=15_000,
    probe_seconds=1.5,
    held_seconds=4,
    latency_seconds=1.5,
    cost_rate=2_000,
    cost_seconds=4,
    peer_events=6_000,
    read_events=10_000,
    read_seconds=1,
    growth_events=(),
    scale_events=0,
    scales=(),
)
SIZES: Final = {"quick": QUICK, "full": FULL, "long": LONG}
