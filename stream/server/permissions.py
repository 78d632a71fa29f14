"""Permissions in Redis: one ACL user for each kind of process, with the minimum of rights.

Ingest cannot read back what it wrote, workers cannot add or remove an entry, the read service cannot write at all.
Operators use the default user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stream.keys import (
    API_KEYS,
    CHORES,
    KEY_CHANGES,
    LIVE_STATE,
    TIMELINE,
    TOMBSTONES,
    UNMAPPED,
    channel,
    history_key,
)

_STREAMS: Final = "~analytics:events:*"
_READ_STREAMS: Final = "%R~analytics:events:*"
_READ_API_KEYS: Final = f"%R~{API_KEYS}"
_WRITE_API_KEYS: Final = f"%W~{API_KEYS}"

_READ_TOMBSTONES: Final = f"%R~{TOMBSTONES}"
_WRITE_TOMBSTONES: Final = f"~{TOMBSTONES}"

_LIVE: Final = (f"~{TIMELINE}", f"~{TIMELINE}:*", f"~{LIVE_STATE}", f"~{LIVE_STATE}:*", f"~{history_key('*')}")

_READ_LIVE: Final = (
    f"%R~{TIMELINE}",
    f"%R~{TIMELINE}:*",
    f"%R~{LIVE_STATE}",
    f"%R~{LIVE_STATE}:{{*",
    f"%R~{history_key('*')}",
)

_COUNT_UNMAPPED: Final = f"(~{UNMAPPED} +evalsha +eval +hgetall +hset +hdel +expire)"
"""A selector: these commands on this key only. The next two are selectors as well."""

_RECORD_KEY_CHANGE: Final = f"(~{KEY_CHANGES} +hsetnx)"
_READ_KEY_CHANGES: Final = f"(%R~{KEY_CHANGES} +hvals)"

_CONNECT: Final = ("+ping", "+hello", "+select", "+client|setname", "+client|setinfo")
_SCRIPTS: Final = ("+evalsha", "+eval", "+script|load", "+script|exists")
_LOOK: Final = ("+info", "+time", "+exists", "+xlen", "+xrange", "+xrevrange", "+xpending", "+xinfo", "+memory|usage")

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "ingest": (
        _STREAMS,
        _READ_API_KEYS,
        _READ_TOMBSTONES,
        *_CONNECT,
        *_SCRIPTS,
        "+get",
        "+exists",
        "+strlen",
        "+xadd",
        "+wait",
        "+waitaof",
        "+command|info",
        "+info",
        "+xlen",
        "+xinfo|groups",
        "+memory|usage",
        _COUNT_UNMAPPED,
        _RECORD_KEY_CHANGE,
    ),
    "worker": (
        _STREAMS,
        *_CONNECT,
        *_LOOK,
        "+xgroup|create",
        "+xreadgroup",
        "+xautoclaim",
        "+xack",
        _READ_KEY_CHANGES,
    ),
    "live": (
        _STREAMS,
        *_LIVE,
        f"&{channel('*')}",
        _READ_TOMBSTONES,
        *_CONNECT,
        *_SCRIPTS,
        "+info",
        "+time",
        "+get",
        "+exists",
        "+strlen",
        "+xread",
        "+xrange",
        "+xpending",
        "+xinfo|groups",
        "+xinfo|stream",
        "+hget",
        "+hmget",
        "+hset",
        "+lpush",
        "+ltrim",
        "+zadd",
        "+zcard",
        "+zrange",
        "+zremrangebyrank",
        "+publish",
    ),
    "maintenance": (
        _STREAMS,
        *_LIVE,
        _WRITE_API_KEYS,
        _WRITE_TOMBSTONES,
        f"%W~{CHORES}",
        *_CONNECT,
        *_SCRIPTS,
        *_LOOK,
        "+get",
        "+xgroup|delconsumer",
        "+hget",
        "+hmget",
        "+hset",
        "+lindex",
        "+lrange",
        "+lrem",
        "+rpop",
        "+zrangebyscore",
        "+zrem",
        "+zremrangebyscore",
        "+zrevrangebyscore",
        "+xtrim",
        "+xdel",
        "+bgrewriteaof",
        "+bgsave",
        "+set",
        "+strlen",
        "+multi",
        "+exec",
    ),
    "dashboard": (
        _READ_STREAMS,
        _READ_API_KEYS,
        f"%R~{CHORES}",
        *_READ_LIVE,
        *_CONNECT,
        *_LOOK,
        "+get",
        "+hget",
        "+hmget",
        "+lrange",
        "+zrangebyscore",
        "+multi",
        "+exec",
    ),
}
"""ACL rules by user, without passwords. A new user starts without rights (`resetkeys -@all`)."""
