"""Checks the version, the settings and the role of a Redis server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runtime.diagnosis import Finding, check
from runtime.settings import Durability

_OLDEST: Final = (7, 0)


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
            f"appendfsync is {fsync or 'not readable by this login (+config|get)'}",
            "set appendfsync to always, or everysec and ANALYTICS_DURABILITY to local: else a power cut loses a second",
            otherwise="warn",
        ),
    ]


def check_nodes(entries: str | None) -> Finding:
    """Check how many entries share a node of a stream; `entries` is None if it is not readable."""
    return check(
        "redis.stream_nodes",
        entries in (None, "1"),
        f"stream-node-max-entries is {entries or 'not readable by this login (+config|get)'}",
        "set stream-node-max-entries to 1: else entries of erased learners stay in memory and files until all entries"
        " of their node are trimmed",
        otherwise="warn",
    )


def check_confirmations(*, early: bool) -> Finding:
    """Check whether the server confirms writes before they are on disk."""
    return check(
        "redis.confirmations",
        not early,
        "WAITAOF answers before the write is on disk" if early else "WAITAOF waits for the disk",
        "set appendfsync to always: without it a power cut may lose a second of writes; a kill of Redis loses nothing",
        otherwise="warn",
    )


def check_role(facts: Mapping[str, Any]) -> Finding:
    """Check from the reply of INFO that the server is a primary."""
    is_primary = facts["role"] == "master"
    return check(
        "redis.role",
        is_primary,
        "a primary" if is_primary else f"a replica of {facts['master_host']}:{facts['master_port']}",
        "let REDIS_URL lead to the primary: a replica accepts no event, and may lack entries",
    )


def check_replicas(facts: Mapping[str, Any], durability: Durability, min_replicas: str | None) -> Finding:
    """Check from the reply of INFO that the replicas are connected that writes wait for.

    `min_replicas` is the setting min-replicas-to-write; None if it is not readable.
    """
    online = [facts[f"slave{number}"] for number in range(int(facts["connected_slaves"]))]
    # the server reports those that are not late if it has a minimum
    good = int(facts.get("min_slaves_good_slaves", sum(one["state"] == "online" for one in online)))
    needed = max(int(min_replicas or 0), 1 if durability == "replica" else 0)
    return check(
        "redis.replicas",
        good >= needed,
        f"{good} replicas follow, {needed} are needed",
        "start the replicas: Redis refuses writes, or does not confirm them, while too few follow, and ingest"
        " answers 503",
    )


def check_files(facts: Mapping[str, Any]) -> Finding:
    """Check from the reply of INFO that the last writes to the files of Redis succeeded."""
    writes = {"the append-only file": facts["aof_last_write_status"]} if facts["aof_enabled"] else {}
    writes |= {
        "a rewrite of the append-only file": facts["aof_last_bgrewrite_status"],
        "a snapshot": facts["rdb_last_bgsave_status"],
    }
    failed = [what for what, status in writes.items() if status != "ok"]
    return check(
        "redis.files",
        not failed,
        f"the last write of {' and '.join(failed)} failed" if failed else "the last writes succeeded",
        "see the log of Redis: a full disk is the usual cause. Without the append-only file Redis refuses events;"
        " without rewrites it grows",
    )
