"""`analytics top` on real servers: what it shows, what a login with few rights sees, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import asyncpg
import pytest
from pydantic import SecretStr

from runtime.settings import Settings
from storage.database.roles import make_logins
from stream.keys import STORE_GROUP, stream_key
from stream.server.connection import Redis
from tests.support.commands import command_line
from tests.support.entries import append_events
from tests.support.events import event
from tests.support.fleet import running
from tests.support.proxy import Fault, Proxy
from tests.support.redis_users import as_user, redis_users
from tests.support.terminal import Operator
from tests.support.waiting import eventually

QUICK = ("--interval", "0.1")


async def document(settings: Settings, data_dir: Path) -> dict[str, Any]:
    ended = await Operator(settings, data_dir).run("top", "--once", "--json", *QUICK)
    assert ended.code == 0, ended.err
    shown: dict[str, Any] = json.loads(ended.out)
    return shown


async def test_one_document_has_the_facts_of_a_running_system(
    settings: Settings, redis: Redis, database: asyncpg.Connection, tmp_path: Path
) -> None:
    await append_events(redis, [event("session_start", number=number) for number in range(3)])
    await database.execute(
        "INSERT INTO dead_letters (stream_partition, entry_id, reason, detail, payload)"
        " VALUES (0, '1-1', 'invalid_field', '', '{}')"
    )
    async with running(settings, ["worker", "maintenance"]):

        async def is_settled() -> bool:
            shown = await document(settings, tmp_path)
            return bool(shown["redis"]["groups"][0]["settled"] == 3 and shown["redis"]["chores"])

        await eventually(is_settled)
        shown = await document(settings, tmp_path)
    [store] = shown["redis"]["groups"]
    assert (store["appended"], store["undelivered"], store["pending"]) == (3, 0, 0)
    assert store["appended_per_second"] == 0
    assert [one["role"] for one in shown["redis"]["processes"]] == ["maintenance", "worker"]
    assert "trim_streams" in {one["name"] for one in shown["redis"]["chores"]}
    assert [one["streams"] for one in shown["redis"]["workers"]] == [1]
    assert shown["postgres"]["leader"] is True
    assert shown["postgres"]["dead_letters"] == {"invalid_field": 1}
    assert shown["postgres"]["applications"]["analytics-worker"] >= 1


async def test_what_a_worker_has_in_hand_is_shown(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    await append_events(redis, [event("session_start", number=number) for number in range(3)])
    await redis.xgroup_create(stream_key(0), STORE_GROUP, id="0")
    await redis.xreadgroup(STORE_GROUP, "one", {stream_key(0): ">"}, count=2)
    await redis.xgroup_createconsumer(stream_key(0), STORE_GROUP, b"other \xff")
    shown = await document(settings, tmp_path)
    worker, other = sorted(shown["redis"]["workers"], key=lambda one: -one["pending"])
    assert other["name"] == "other \\xff"
    assert (worker["name"], worker["group"], worker["pending"]) == ("one", "store", 2)
    [store] = shown["redis"]["groups"]
    assert (store["undelivered"], store["pending"]) == (1, 2)
    assert 0 < store["oldest_pending_seconds"] <= store["lag_seconds"]


async def test_logins_that_may_only_read_see_all_but_the_processes(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    logins = await make_logins(settings.database_dsn, {"reader": "secret-of-the-tests"})
    await append_events(redis, [event("session_start")])
    async with redis_users(redis) as users:
        shown = await document(as_user(settings, "dashboard", users, logins["reader"]), tmp_path)
    assert shown["redis"]["processes"] is None
    assert shown["redis"]["groups"][0]["undelivered"] == 1
    assert shown["postgres"]["dead_letters"] == {}
    assert shown["postgres"]["oldest_transaction_seconds"] is None


async def test_a_frame_without_one_of_the_servers_is_3(settings: Settings, tmp_path: Path) -> None:
    alone = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9")})
    ended = await Operator(alone, tmp_path).run("top", "--once", *QUICK)
    assert ended.code == 3
    assert "Redis  stream unavailable (connection)" in ended.out
    assert "Dead letters  none" in ended.out


async def test_a_database_that_was_never_migrated_is_shown_as_such(
    settings: Settings, empty_database_url: str, tmp_path: Path
) -> None:
    empty = settings.model_copy(update={"database_url": SecretStr(empty_database_url)})
    ended = await Operator(empty, tmp_path).run("top", "--once", *QUICK)
    assert (ended.code, ended.err) == (3, "")
    assert "Redis  memory" in ended.out
    assert "run `analytics migrate up`" in ended.out


async def test_json_of_a_view_that_goes_on_is_wrong_usage(settings: Settings, tmp_path: Path) -> None:
    ended = await Operator(settings, tmp_path).run("top", "--json")
    assert (ended.code, "--json needs --once" in ended.err) == (2, True)


def environment_of(settings: Settings) -> dict[str, str]:
    servers = {"REDIS_URL": settings.redis_dsn, "DATABASE_URL": settings.database_dsn}
    return servers | {"ANALYTICS_ENVIRONMENT": "dev", "COLUMNS": "120"}


@asynccontextmanager
async def running_top(
    settings: Settings, data_dir: Path, output: IO[bytes] | int, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `top` for the block, with its output in a file or descriptor."""
    process = await asyncio.create_subprocess_exec(
        *command_line("top", *QUICK, "--data-dir", str(data_dir)),
        env=environment_of(settings) | environment,
        stdout=output,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def following(settings: Settings, data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    """Run `top` with its output in a file, for the block. Yields the process and the file."""
    log = data_dir / "top.txt"
    with log.open("wb") as stream:
        async with running_top(settings, data_dir, stream) as process:
            yield process, log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_view_goes_on_until_a_signal_and_ends_with_0(
    settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    async with following(settings, tmp_path) as (process, log):
        await eventually(lambda: log.read_text().count("analytics top") >= 3)
        process.send_signal(number)
        assert await process.wait() == 0
    assert "Traceback" not in log.read_text()


async def test_a_redis_that_is_lost_is_shown_and_the_view_goes_on(
    settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    async with Proxy(redis_url).running() as proxy:
        through = settings.model_copy(update={"redis_url": SecretStr(proxy.url)})
        async with following(through, tmp_path) as (process, log):
            await eventually(lambda: "Redis  memory" in log.read_text())
            proxy.break_down(Fault.CUT)
            await eventually(lambda: "Redis  stream unavailable" in log.read_text())
            await eventually(lambda: "Postgres  " in log.read_text().partition("Redis  stream unavailable")[2])
            proxy.heal()
            shown = log.read_text().count("Redis  memory")
            await eventually(lambda: log.read_text().count("Redis  memory") > shown)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0


@asynccontextmanager
async def at_a_terminal(
    settings: Settings, data_dir: Path, kind: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Callable[[], bytes]]]:
    """Run `top` at a terminal of a kind. Yields the process, and what it has shown so far."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    seen = b""

    def shown() -> bytes:
        nonlocal seen
        with contextlib.suppress(OSError):
            seen += os.read(ours, 65_536)
        return seen

    try:
        async with running_top(settings, data_dir, theirs, TERM=kind) as process:
            os.close(theirs)
            yield process, shown
    finally:
        os.close(ours)


async def test_a_terminal_shows_one_frame_in_place_of_the_other(settings: Settings, tmp_path: Path) -> None:
    async with at_a_terminal(settings, tmp_path, "xterm") as (process, shown):
        await eventually(lambda: b"\x1b[?1049h" in shown() and b"Dead letters" in shown())
        process.send_signal(signal.SIGINT)
        await eventually(lambda: b"\x1b[?1049l" in shown())
        assert await process.wait() == 0


async def test_a_terminal_that_cannot_move_the_cursor_shows_one_frame_below_the_other(
    settings: Settings, tmp_path: Path
) -> None:
    async with at_a_terminal(settings, tmp_path, "dumb") as (process, shown):
        await eventually(lambda: shown().count(b"analytics top") >= 3 and shown().count(b"Dead letters") >= 2)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        assert b"\x1b" not in shown()


async def test_a_pipe_gets_whole_lines(settings: Settings, tmp_path: Path) -> None:
    frame = await Operator(settings, tmp_path).run("top", "--once", *QUICK, COLUMNS="20", FORCE_COLOR="1")
    assert "nobody leads" in frame.out
    assert "none has read a stream" in frame.out
    assert "\N{HORIZONTAL ELLIPSIS}" not in frame.out
