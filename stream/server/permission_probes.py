"""A command for every right of `stream/server/permissions.py`, and the users that need it. None of them is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stream.keys import (
    API_KEYS,
    CHORES,
    KEY_CHANGES,
    LIVE_EVENTS,
    LIVE_STATE,
    TIMELINE,
    TOMBSTONES,
    UNMAPPED,
    channel,
    history_key,
    live_cursor_key,
    live_keys,
    stream_key,
)
from stream.server.permissions import RULES

_KEY: Final = stream_key(0)
_HISTORY: Final = history_key("xp_earned")
_ALL: Final = frozenset(RULES)
_LOOK: Final = frozenset({"worker", "maintenance", "dashboard"})
_SCRIPTS: Final = frozenset({"ingest", "live", "maintenance"})
_LIVE: Final = frozenset({"live", "maintenance"})
_INGEST: Final = frozenset({"ingest"})
_WORKER: Final = frozenset({"worker"})
_LIVE_WORKER: Final = frozenset({"live"})
_MAINTENANCE: Final = frozenset({"maintenance"})
_DASHBOARD: Final = frozenset({"dashboard"})

PROBES: Final[Mapping[tuple[str, ...], frozenset[str]]] = {
    ("PING",): _ALL,
    ("SELECT", "0"): _ALL,
    ("CLIENT", "SETNAME", "a"): _ALL,
    ("CLIENT", "SETINFO", "LIB-NAME", "a"): _ALL,
    ("INFO", "replication"): _ALL,
    ("EVAL", "return 1", "1", _KEY): _SCRIPTS,
    ("EVALSHA", "a", "1", _KEY): _SCRIPTS,
    ("SCRIPT", "LOAD", "return 1"): _SCRIPTS,
    ("SCRIPT", "EXISTS", "a"): _SCRIPTS,
    ("TIME",): _LOOK | _LIVE_WORKER,
    ("EXISTS", _KEY): _ALL,
    ("XLEN", _KEY): _LOOK | _INGEST,
    ("XREAD", "STREAMS", _KEY, "0"): _LIVE_WORKER,
    ("XRANGE", _KEY, "-", "+"): _LOOK | _LIVE_WORKER,
    ("XREVRANGE", _KEY, "+", "-"): _LOOK,
    ("XPENDING", _KEY, "store"): _LOOK | _LIVE_WORKER,
    ("XINFO", "GROUPS", _KEY): _ALL,
    ("XINFO", "STREAM", _KEY): _LOOK | _LIVE_WORKER,
    ("MEMORY", "USAGE", _KEY): _LOOK | _INGEST,
    ("COMMAND", "INFO", "xadd"): _INGEST,
    ("XADD", _KEY, "*", "a", "b"): _INGEST,
    ("WAIT", "1", "0"): _INGEST,
    ("WAITAOF", "1", "0", "0"): _INGEST,
    ("XGROUP", "CREATE", _KEY, "store", "0"): _WORKER,
    ("XGROUP", "DELCONSUMER", _KEY, "store", "me"): _MAINTENANCE,
    ("XREADGROUP", "GROUP", "store", "me", "STREAMS", _KEY, ">"): _WORKER,
    ("XAUTOCLAIM", _KEY, "store", "me", "0", "0"): _WORKER,
    ("XACK", _KEY, "store", "1-1"): _WORKER,
    ("XTRIM", _KEY, "MAXLEN", "0"): _MAINTENANCE,
    ("XDEL", _KEY, "1-1"): _MAINTENANCE,
    ("GET", API_KEYS): _INGEST | _DASHBOARD,
    ("SET", API_KEYS, "a"): _MAINTENANCE,
    ("GET", CHORES): _DASHBOARD,
    ("SET", CHORES, "a"): _MAINTENANCE,
    ("GET", TOMBSTONES): _INGEST | _LIVE,
    ("SET", TOMBSTONES, "a"): _MAINTENANCE,
    ("STRLEN", TOMBSTONES): _INGEST | _LIVE,
    ("HSETNX", KEY_CHANGES, "2", "1"): _INGEST,
    ("HVALS", KEY_CHANGES): _WORKER,
    ("EVAL", "return 1", "1", UNMAPPED): _INGEST,
    ("EVALSHA", "a", "1", UNMAPPED): _INGEST,
    ("HGETALL", UNMAPPED): _INGEST,
    ("HSET", UNMAPPED, "a", "1 1"): _INGEST,
    ("HDEL", UNMAPPED, "a"): _INGEST,
    ("EXPIRE", UNMAPPED, "1"): _INGEST,
    ("HGET", LIVE_STATE, "last"): _LIVE | _DASHBOARD,
    ("HMGET", LIVE_STATE, "last", "floor"): _LIVE | _DASHBOARD,
    ("HMGET", live_cursor_key(0), "cursor"): _LIVE | _DASHBOARD,
    ("HSET", live_cursor_key(0), "cursor", "1-1"): _LIVE,
    ("HSET", LIVE_STATE, "last", "1"): _LIVE,
    ("ZADD", TIMELINE, "1", "a"): _LIVE_WORKER,
    ("ZCARD", TIMELINE): _LIVE_WORKER,
    ("ZRANGE", TIMELINE, "0", "1"): _LIVE_WORKER,
    ("ZREMRANGEBYRANK", TIMELINE, "0", "1"): _LIVE_WORKER,
    ("ZRANGEBYSCORE", TIMELINE, "0", "1"): _MAINTENANCE | _DASHBOARD,
    ("ZREVRANGEBYSCORE", TIMELINE, "1", "0"): _MAINTENANCE,
    ("ZREM", TIMELINE, "a"): _MAINTENANCE,
    ("ZREMRANGEBYSCORE", TIMELINE, "0", "1"): _MAINTENANCE,
    ("ZADD", LIVE_EVENTS, "1", "a"): _LIVE_WORKER,
    ("ZADD", live_keys(1, 2).timeline, "1", "a"): _LIVE_WORKER,
    ("ZADD", live_keys(1, 2).events, "1", "a"): _LIVE_WORKER,
    ("HMGET", live_keys(1, 2).state, "last", "floor"): _LIVE | _DASHBOARD,
    ("ZRANGEBYSCORE", live_keys(1, 2).timeline, "0", "1"): _MAINTENANCE | _DASHBOARD,
    ("ZREMRANGEBYSCORE", LIVE_EVENTS, "0", "1"): _MAINTENANCE,
    ("LPUSH", _HISTORY, "a"): _LIVE_WORKER,
    ("LTRIM", _HISTORY, "0", "1"): _LIVE_WORKER,
    ("LINDEX", _HISTORY, "0"): _MAINTENANCE,
    ("LRANGE", _HISTORY, "0", "1"): _MAINTENANCE | _DASHBOARD,
    ("LREM", _HISTORY, "0", "a"): _MAINTENANCE,
    ("RPOP", _HISTORY): _MAINTENANCE,
    ("PUBLISH", channel("xp_earned"), "a"): _LIVE_WORKER,
    ("BGREWRITEAOF",): _MAINTENANCE,
    ("BGSAVE",): _MAINTENANCE,
    ("MULTI",): _MAINTENANCE | _DASHBOARD,
    ("EXEC",): _MAINTENANCE | _DASHBOARD,
}
