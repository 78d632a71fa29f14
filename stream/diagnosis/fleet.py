"""Checks the processes that are connected to Redis: their settings and their release."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis

from runtime.diagnosis import Finding, check
from stream.keys import stream_key
from stream.server.client_names import Fleet, Process
from stream.server.failures import translated_errors

_MAX_LISTED: Final = 10


async def has_stream_beyond(redis: Redis, partitions: int) -> bool:
    """Return whether a stream exists that this number of partitions leaves out. Raises StreamUnavailable."""
    with translated_errors():
        return bool(await redis.exists(stream_key(partitions)))


def check_partitions(fleet: Fleet | None, partitions: int, *, beyond: bool) -> Finding:
    """Check that every process, and these settings, have the same number of partitions.

    `beyond`: whether a stream exists that this number leaves out.
    """
    others = _by(fleet, lambda process: str(process.partitions), str(partitions))
    details = [f"{number} in {names}" for number, names in others.items()]
    details += [f"the stream {stream_key(partitions)} exists"] if beyond else []
    return check(
        "fleet.partitions",
        not details,
        f"{partitions} in these settings{'; ' if details else ''}{'; '.join(details)}",
        "set ANALYTICS_STREAM_PARTITIONS to the same number everywhere: a process with fewer does not read every"
        " stream, so events of the others are not stored",
    )


def check_releases(fleet: Fleet | None, release: str) -> Finding:
    """Check that every process runs the release of this command."""
    others = _by(fleet, lambda process: process.release, release)
    details = [f"{other} in {names}" for other, names in others.items()]
    if fleet is not None and fleet.unnamed_connections:
        details.append(f"an earlier release has {fleet.unnamed_connections} connections")
    return check(
        "fleet.release",
        not details,
        "; ".join(details) or _count(fleet),
        f"restart these processes with release {release}, or use the command of their release. See `Upgrade` in"
        " docs/operations.md",
        otherwise="warn",
    )


def _by(fleet: Fleet | None, key: Callable[[Process], str], expected: str) -> dict[str, str]:
    """Return the names of the processes whose key is not the expected one, by their key."""
    found: dict[str, list[str]] = defaultdict(list)
    for process in fleet.services if fleet else ():
        if key(process) != expected:
            found[key(process)].append(f"{process.role} {process.process}")
    return {
        value: ", ".join(names[:_MAX_LISTED]) + (f" and {len(names) - _MAX_LISTED} more" if names[_MAX_LISTED:] else "")
        for value, names in sorted(found.items())
    }


def _count(fleet: Fleet | None) -> str:
    if fleet is None:
        return "unknown: this login lacks the right to CLIENT LIST (+client|list)"
    return f"{len(fleet.services)} processes, all of this release"
