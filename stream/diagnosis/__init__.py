"""Checks whether this Redis server is suited for events that are not stored yet, and how its streams are."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.clock import clock_skew
from runtime.diagnosis import Finding, check_clock
from runtime.errors import StreamUnavailable
from runtime.settings import Durability
from stream.diagnosis.partition import check_foreign_groups, check_window, diagnose_live, diagnose_partition
from stream.diagnosis.server import (
    check_confirmations,
    check_files,
    check_nodes,
    check_replicas,
    check_role,
    check_server,
)
from stream.diagnosis.unmapped import check_unmapped
from stream.entries.extent import measure_extent
from stream.entries.group_needs import read_needs
from stream.entries.lag import measure
from stream.registry.unmapped import read_unmapped
from stream.server.clock import read_time
from stream.server.durability import confirms_early, knows_waitaof
from stream.server.failures import translated_errors

BACKUP_INTERVAL: Final = timedelta(days=1)


async def diagnose(
    redis: Redis,
    partitions: int,
    now: datetime,
    claim_idle_seconds: float,
    durability: Durability,
    ignored_groups: Collection[str] = (),
    backup_interval: timedelta = BACKUP_INTERVAL,
) -> list[Finding]:
    """Return findings on the server and on each partition; of a replica, only that it is one.

    Raises StreamUnavailable.
    """
    clock = await _diagnose_clock(redis, now)
    with translated_errors():
        facts = await redis.info()
    role = check_role(facts)
    if role.status == "fail":
        return [role]
    fsync = await _setting(redis, "appendfsync")
    known = await knows_waitaof(redis)
    findings = [
        role,
        *check_server(facts, fsync, durability, knows_waitaof=known),
        check_files(facts),
        check_replicas(facts, durability, await _setting(redis, "min-replicas-to-write")),
        clock,
        check_nodes(await _setting(redis, "stream-node-max-entries")),
    ]
    if known and facts["aof_enabled"] and fsync == "everysec" and durability in ("local", "replica"):
        findings.append(check_confirmations(early=await confirms_early(redis)))
    for partition in range(partitions):
        findings += await diagnose_partition(redis, partition, claim_idle_seconds)
        findings.append(await diagnose_live(redis, partition))
        extent, lag = await measure_extent(redis, partition), await measure(redis, partition)
        findings.append(check_window(partition, extent, lag, backup_interval))
        findings.append(check_foreign_groups(partition, await read_needs(redis, partition), ignored_groups))
    return [*findings, check_unmapped(await read_unmapped(redis, now))]


async def _setting(redis: Redis, name: str) -> str | None:
    try:
        with translated_errors():
            setting = await redis.config_get(name)
    except (ResponseError, StreamUnavailable):
        # managed servers forbid CONFIG
        return None
    value = setting.get(name)
    return str(value) if value is not None else None


async def _diagnose_clock(redis: Redis, now: datetime) -> Finding:
    asked = time.monotonic()
    redis_now = await read_time(redis)
    skew = clock_skew(redis_now, now, now + timedelta(seconds=time.monotonic() - asked))
    return check_clock("redis.clock", skew, "retention and lag are measured by the clock of Redis")
