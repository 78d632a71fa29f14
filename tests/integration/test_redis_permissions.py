"""Each kind of process can run the Redis commands that it needs, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Set
from typing import Any, Final

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from ingest.server import open_unmapped
from runtime.clock import utc_now
from runtime.settings import Settings
from stream.keys import (
    API_KEYS,
    UNMAPPED,
    stream_key,
)
from stream.registry.unmapped import read_unmapped
from stream.server.connection import connect
from stream.server.permission_probes import PROBES
from stream.server.permissions import RULES
from tests.support.redis_users import as_user, redis_users


@pytest.fixture
async def users(redis: Redis) -> AsyncIterator[Mapping[str, str]]:
    async with redis_users(redis) as passwords:
        yield passwords


KEY: Final = stream_key(0)
# command: the users that may run it
COMMANDS: Final[Mapping[tuple[str, ...], Set[str]]] = {
    **PROBES,
    ("XREADGROUP", "GROUP", "live", "me", "STREAMS", KEY, ">"): {"worker"},
    ("HSET", KEY, "a", "b"): {"live", "maintenance"},
    ("SET", KEY, "x"): {"maintenance"},
    ("XADD", "other", "*", "a", "b"): set(),
    ("XRANGE", "other", "-", "+"): set(),
    ("XREAD", "STREAMS", "other", "0"): set(),
    ("XGROUP", "SETID", KEY, "store", "$"): set(),
    ("XGROUP", "DESTROY", KEY, "store"): set(),
    ("XSETID", KEY, "1-1"): set(),
    ("DEL", KEY): set(),
    ("UNLINK", KEY): set(),
    ("RENAME", KEY, "other"): set(),
    ("EXPIRE", KEY, "1"): set(),
    ("DUMP", KEY): set(),
    ("HSETNX", UNMAPPED, "2", "1"): set(),
    ("HVALS", UNMAPPED): set(),
    ("DEL", UNMAPPED): set(),
    ("GET", UNMAPPED): set(),
    ("XADD", UNMAPPED, "*", "a", "b"): set(),
    ("HGETALL", KEY): set(),
    ("EXPIRE", API_KEYS, "1"): set(),
    ("SET", "other", "x"): set(),
    ("GET", "other"): set(),
    ("KEYS", "*"): set(),
    ("SCAN", "0"): set(),
    ("FLUSHALL",): set(),
    ("FLUSHDB",): set(),
    ("CONFIG", "GET", "requirepass"): set(),
    ("CONFIG", "SET", "appendonly", "no"): set(),
    ("ACL", "LIST"): set(),
    ("ACL", "SETUSER", "me", "+@all"): set(),
    ("DEBUG", "SLEEP", "0"): set(),
    ("SHUTDOWN",): set(),
    ("SAVE",): set(),
    ("MONITOR",): set(),
    ("CLIENT", "LIST"): set(),
    ("CLIENT", "KILL", "ID", "1"): set(),
    ("REPLICAOF", "NO", "ONE"): set(),
    ("SCRIPT", "FLUSH"): set(),
    ("FUNCTION", "LIST"): set(),
    ("PUBLISH", "channel", "x"): set(),
    ("HGET", "other", "last"): set(),
    ("SUBSCRIBE", "channel"): set(),
}


async def test_each_user_may_give_the_commands_of_the_table_and_no_others(
    redis: Redis, users: Mapping[str, str]
) -> None:
    dry_run: Any = redis.execute_command
    found = {}
    for command in COMMANDS:
        may = set()
        for user in users:
            reply = await dry_run("ACL", "DRYRUN", user, *command)
            may |= {user} if reply == b"OK" else set()
        found[command] = may
    assert found == COMMANDS


async def test_a_script_may_do_no_more_than_its_user(
    settings: Settings, redis: Redis, users: Mapping[str, str]
) -> None:
    client = connect(as_user(settings, "ingest", users))
    for script in ("return redis.call('FLUSHALL')", "return redis.call('XRANGE', KEYS[1], '-', '+')"):
        with pytest.raises(ResponseError, match="ACL failure in script"):
            await client.eval(script, 1, KEY)
    await client.aclose()


async def test_a_login_without_the_newest_right_keeps_the_names_for_later(
    settings: Settings, redis: Redis, users: Mapping[str, str]
) -> None:
    acl: Any = redis.execute_command
    await acl("ACL", "SETUSER", "ingest", "clearselectors")
    client = connect(as_user(settings, "ingest", users))
    names = open_unmapped(client)
    names.count_event("Quiz Started")
    await names.write()
    await acl("ACL", "SETUSER", "ingest", *RULES["ingest"])
    await names.write()
    assert [one.times for one in await read_unmapped(redis, utc_now())] == [1]
    await client.aclose()
