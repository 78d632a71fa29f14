"""Checks the streams and their consumer groups."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from redis.asyncio import Redis

from runtime.diagnosis import MAX_SKEW, Finding, check
from stream.entries.consumers import list_consumers
from stream.entries.continuity import find_position
from stream.entries.entry import EntryId, time_of
from stream.entries.extent import StreamExtent
from stream.entries.group_needs import GroupNeed
from stream.entries.lag import GroupLag, measure
from stream.entries.readers import find_reader
from stream.keys import LIVE_GROUP, STORE_GROUP

_LATE_SECONDS: Final = 60.0
"""Maximum lag of the live workers that counts as healthy."""
_MAX_LISTED: Final = 20


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


async def diagnose_live(redis: Redis, partition: int) -> Finding:
    """Return whether live events of a stream are published in time. Raises StreamUnavailable."""
    name = f"stream.{partition}.live"
    if await find_reader(redis, partition, LIVE_GROUP) is None:
        return Finding(name, "ok", "no live worker has run")
    seconds = (await measure(redis, partition, LIVE_GROUP)).seconds
    return check(
        name,
        seconds < _LATE_SECONDS,
        f"{seconds:.1f} s behind",
        "check that `analytics worker --group live` runs, and its log: entries that wait too long are skipped",
        otherwise="warn",
    )


async def diagnose_partition(redis: Redis, partition: int, claim_idle_seconds: float) -> list[Finding]:
    """Return findings on the store group of a stream. Raises StreamUnavailable."""
    lag = await measure(redis, partition)
    newest = EntryId.parse((await find_position(redis, partition)).last_id).milliseconds / 1000
    ahead = max(0.0, newest - lag.redis_now.timestamp())
    consumers = await list_consumers(redis, partition, STORE_GROUP)
    if consumers is None:
        return [
            Finding(
                f"stream.{partition}.group",
                "warn",
                f"no group `{STORE_GROUP}` yet",
                "start `analytics worker`; it creates it",
            )
        ]
    longest_idle = timedelta(seconds=2 * claim_idle_seconds)
    stuck = [consumer for consumer in consumers if consumer.pending and consumer.idle > longest_idle]
    return [
        Finding(f"stream.{partition}.group", "ok", f"{len(consumers)} consumers, {lag.pending} entries in hand"),
        check(
            f"stream.{partition}.lag",
            lag.undelivered is not None,
            f"{lag.undelivered} entries wait" if lag.undelivered is not None else "Redis does not report the lag",
            "entries were deleted before they were read; the lag is reported again when the group has read past them",
            otherwise="warn",
        ),
        check(
            f"stream.{partition}.clock",
            ahead < MAX_SKEW.total_seconds(),
            f"the newest entry is {ahead:.0f} s ahead of the clock of Redis",
            "the clock was set back: until it has caught up, the lag appears shorter and entries are kept longer. See"
            " `Times in the future` in docs/operations.md",
        ),
        check(
            f"stream.{partition}.stuck",
            not stuck,
            f"{len(stuck)} idle consumers hold {sum(consumer.pending for consumer in stuck)} entries",
            "no worker claims them: check that one is running",
            otherwise="warn",
        ),
    ]


def check_window(partition: int, extent: StreamExtent, lag: GroupLag, backup_interval: timedelta) -> Finding:
    """Check that a trimmed stream reaches back to the last backup of Postgres. A stream that is whole is just young."""
    is_trimmed = lag.appended > lag.length
    window = extent.window or timedelta(0)
    return check(
        f"stream.{partition}.window",
        not is_trimmed or window >= backup_interval,
        f"reaches back {_hours(window)}{'' if is_trimmed else ', to its first entry'}; backups are taken every"
        f" {_hours(backup_interval)}",
        "raise ANALYTICS_STREAM_MAX_BYTES, back up more often, or archive the WAL of Postgres: a replay after a restore"
        " reaches back no further. See `Replay window` in docs/operations.md",
        otherwise="warn",
    )


def _hours(time: timedelta) -> str:
    return f"{time / timedelta(hours=1):.1f} h"
