"""Checks whether this Redis server is suited for events that are not stored yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from runtime.diagnosis import Finding, check
from runtime.errors import StreamUnavailable
from runtime.settings import Durability
from stream.entries.continuity import find_position
from stream.entries.entry import EntryId
from stream.entries.group_needs import GroupNeed, read_needs, time_of
from stream.entries.groups import has_group
from stream.entries.lag import measure
from stream.keys import LIVE_GROUP, STORE_GROUP, stream_key
from stream.registry.unmapped import Unmapped, read_unmapped
from stream.server.durability import confirms_early, knows_waitaof
from stream.server.failures import GroupMissing, translated_errors

_OLDEST: Final = (7, 0)
_SKEW_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 60.0
"""Maximum lag of the live group that counts as healthy."""
_MAX_LISTED: Final = 20


async def diagnose(
    redis: Redis,
    partitions: int,
    now: datetime,
    claim_idle_seconds: float,
    durability: Durability,
    ignored_groups: Collection[str] = (),
) -> list[Finding]:
    """Return findings on the server and on each partition. Raises StreamUnavailable."""
    with translated_errors():
        facts = await redis.info()
    fsync = await _setting(redis, "appendfsync")
    known = await knows_waitaof(redis)
    findings = [
        *check_server(facts, fsync, durability, knows_waitaof=known),
        _check_clock((await measure(redis, 0)).redis_now, now),
        check_nodes(await _setting(redis, "stream-node-max-entries")),
    ]
    if known and facts["aof_enabled"] and fsync == "everysec" and durability in ("local", "replica"):
        findings.append(_check_confirmations(early=await confirms_early(redis)))
    for partition in range(partitions):
        findings += await _diagnose_partition(redis, partition, claim_idle_seconds)
        findings.append(await _diagnose_live(redis, partition))
        findings.append(check_foreign_groups(partition, await read_needs(redis, partition), ignored_groups))
    return [*findings, check_unmapped(await read_unmapped(redis, now))]


def check_unmapped(names: Sequence[Unmapped]) -> Finding:
    """Check for event names of Segment clients that are not mapped. `names`: most frequent first."""
    listed = [f"{one.name} ({one.times}x, last {one.last_seen:%Y-%m-%d %H:%M} UTC)" for one in names[:_MAX_LISTED]]
    listed += [f"and {len(names) - _MAX_LISTED} more"] if len(names) > _MAX_LISTED else []
    return check(
        "segment.unmapped",
        not names,
        f"not stored: {', '.join(listed)}" if names else "no Segment client used an unknown name",
        "map each name in the file of ANALYTICS_SEGMENT_MAPPING, or stop sending it; calls such as identify() are never"
        " stored. See docs/segment.md",
        otherwise="warn",
    )


def check_foreign_groups(partition: int, needs: Sequence[GroupNeed], ignored: Collection[str]) -> Finding:
    """Check the foreign groups of a stream: entries that a group has not settled are not trimmed."""
    foreign = sorted(
        (need for need in needs if need.kind(ignored) in ("other", "ignored")), key=lambda need: -need.held_seconds
    )
    listed = [_describe(need, is_ignored=need.kind(ignored) == "ignored") for need in foreign[:_MAX_LISTED]]
    listed += [f"and {len(foreign) - _MAX_LISTED} more"] if len(foreign) > _MAX_LISTED else []
    return check(
        f"stream.{partition}.foreign_groups",
        not any(need.held_since for need in foreign if need.kind(ignored) == "other"),
        "; ".join(listed) or "none",
        "start its consumers, remove it (XGROUP DESTROY), or name it in ANALYTICS_TRIM_IGNORE_GROUPS: entries are then"
        " trimmed before it has read them",
        otherwise="warn",
    )


def _describe(need: GroupNeed, *, is_ignored: bool) -> str:
    lag = "an unknown number" if need.undelivered is None else str(need.undelivered)
    delivered = (
        f"last delivered {need.last_delivered} ({time_of(need.last_delivered):%Y-%m-%d %H:%M} UTC)"
        if need.last_delivered.milliseconds
        else "nothing delivered yet"
    )
    held = f"holds entries since {need.held_since:%Y-%m-%d %H:%M} UTC" if need.held_since else "holds nothing"
    words = f"`{need.name}`: {need.pending} pending, {lag} undelivered, {delivered}, {held}"
    return f"{words}, ignored" if is_ignored else words


def _check_confirmations(*, early: bool) -> Finding:
    return check(
        "redis.confirmations",
        not early,
        "WAITAOF answers before the write is on disk" if early else "WAITAOF waits for the disk",
        "set appendfsync to always: without it a power cut may lose a second of writes; a kill of Redis loses nothing",
        otherwise="warn",
    )


def check_server(
    facts: Mapping[str, Any], fsync: str | None, durability: Durability, *, knows_waitaof: bool
) -> list[Finding]:
    """Check the reply of INFO. `fsync` is the setting appendfsync; None if it is not readable."""
    confirms = durability in ("local", "replica")
    is_valkey = "valkey_version" in facts
    version = str(facts["valkey_version" if is_valkey else "redis_version"])
    policy = str(facts.get("maxmemory_policy", "unknown"))
    return [
        check(
            "redis.version",
            tuple(int(part) for part in version.split(".")[:2]) >= _OLDEST,
            f"{'Valkey' if is_valkey else 'Redis'} {version}",
            "use Redis 7.0 or newer, or Valkey 8 or newer",
        ),
        check(
            "redis.eviction",
            policy == "noeviction",
            f"maxmemory-policy is {policy}",
            "set maxmemory-policy to noeviction: other policies drop events when memory is short",
        ),
        check(
            "redis.memory_limit",
            int(facts.get("maxmemory", 0)) > 0,
            f"maxmemory is {int(facts.get('maxmemory', 0))} bytes",
            "set maxmemory above ANALYTICS_STREAM_MAX_BYTES: Redis then refuses before the machine runs out",
            otherwise="warn",
        ),
        check(
            "redis.persistence",
            bool(facts.get("aof_enabled")),
            "the append-only file is on" if facts.get("aof_enabled") else "there is no append-only file",
            "set appendonly to yes: without it a restart loses accepted events",
            otherwise="warn" if durability == "memory" else "fail",
        ),
        check(
            "redis.waitaof",
            knows_waitaof or not confirms,
            f"ANALYTICS_DURABILITY is {durability}; WAITAOF is {'known' if knows_waitaof else 'not known'}",
            "use Redis 7.2 or newer, or Valkey: older servers cannot confirm writes to disk",
            otherwise="warn" if durability == "replica" else "fail",
        ),
        check(
            "redis.fsync",
            fsync in (None, "always") or (confirms and fsync != "no"),
            f"appendfsync is {fsync or 'not readable here'}",
            "set appendfsync to always, or everysec and ANALYTICS_DURABILITY to local: else a power cut loses a second",
            otherwise="warn",
        ),
    ]


def check_nodes(entries: str | None) -> Finding:
    """Check how many entries share a node of a stream; `entries` is None if it is not readable."""
    return check(
        "redis.stream_nodes",
        entries in (None, "1"),
        f"stream-node-max-entries is {entries or 'not readable here'}",
        "set stream-node-max-entries to 1: else entries of erased learners stay in memory and files until all entries"
        " of their node are trimmed",
        otherwise="warn",
    )


async def _setting(redis: Redis, name: str) -> str | None:
    try:
        with translated_errors():
            setting = await redis.config_get(name)
    except (ResponseError, StreamUnavailable):
        # managed servers forbid CONFIG
        return None
    value = setting.get(name)
    return str(value) if value is not None else None


def _check_clock(redis_now: datetime, now: datetime) -> Finding:
    skew = abs((redis_now - now).total_seconds())
    return check(
        "redis.clock",
        skew < _SKEW_SECONDS,
        f"{skew:.1f} s apart from this machine",
        "synchronize both clocks by NTP: retention and lag are measured by the clock of Redis",
        otherwise="warn",
    )


async def _diagnose_live(redis: Redis, partition: int) -> Finding:
    name = f"stream.{partition}.live"
    if not await has_group(redis, partition, LIVE_GROUP):
        return Finding(name, "ok", "no live worker has run")
    seconds = (await measure(redis, partition, LIVE_GROUP)).seconds
    return check(
        name,
        seconds < _LATE_SECONDS,
        f"{seconds:.1f} s behind",
        "start more processes of `analytics worker --group live`: entries that wait too long are skipped",
        otherwise="warn",
    )


async def _diagnose_partition(redis: Redis, partition: int, claim_idle_seconds: float) -> list[Finding]:
    name = f"stream.{partition}"
    lag = await measure(redis, partition)
    newest = EntryId.parse((await find_position(redis, partition)).last_id).milliseconds / 1000
    ahead = max(0.0, newest - lag.redis_now.timestamp())
    try:
        with translated_errors():
            consumers = await redis.xinfo_consumers(stream_key(partition), STORE_GROUP)
    except (ResponseError, GroupMissing):
        return [
            Finding(f"{name}.group", "warn", f"no group `{STORE_GROUP}` yet", "start `analytics worker`; it creates it")
        ]
    stuck = [facts for facts in consumers if facts["pending"] and facts["idle"] > claim_idle_seconds * 2000]
    return [
        Finding(f"{name}.group", "ok", f"{len(consumers)} consumers, {lag.pending} entries in hand"),
        check(
            f"{name}.lag",
            lag.undelivered is not None,
            f"{lag.undelivered} entries wait" if lag.undelivered is not None else "Redis does not report the lag",
            "entries were deleted before they were read; the lag is reported again when the group has read past them",
            otherwise="warn",
        ),
        check(
            f"{name}.clock",
            ahead < _SKEW_SECONDS,
            f"the newest entry is {ahead:.0f} s ahead of the clock of Redis",
            "the clock was set back: until it has caught up, the lag appears shorter and entries are kept longer",
            otherwise="warn",
        ),
        check(
            f"{name}.stuck",
            not stuck,
            f"{len(stuck)} idle consumers hold {sum(facts['pending'] for facts in stuck)} entries",
            "no worker claims them: check that one is running",
            otherwise="warn",
        ),
    ]
