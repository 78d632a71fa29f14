"""`analytics doctor` as a command: its document, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg

from runtime.settings import Settings
from storage.database.roles import make_logins
from stream.server.connection import Redis
from tests.support.fleet import running
from tests.support.redis_users import as_user, redis_users
from tests.support.terminal import Operator
from tests.support.waiting import eventually

OF_THE_TESTS = {"redis.persistence", "postgres.durability"}
"""Checks that fail here, because the servers of the tests are made to be fast."""


async def checks(settings: Settings, data_dir: Path, *options: str) -> tuple[int, dict[str, Any]]:
    ended = await Operator(settings, data_dir).run("doctor", "--json", *options)
    return ended.code, {one["name"]: one for one in json.loads(ended.out)["checks"]}


def failed(found: dict[str, Any]) -> set[str]:
    return {name for name, one in found.items() if one["status"] == "fail"} - OF_THE_TESTS


async def test_a_running_system_has_no_failed_check(settings: Settings, redis: Redis, tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    async with running(settings, ["worker", "maintenance"]):

        async def all_run() -> bool:
            nonlocal found
            _, found = await checks(settings, tmp_path)
            return (
                failed(found) == set()
                and found["maintenance.chores"]["status"] == "ok"
                and found["fleet.release"]["detail"] == "2 processes, all of this release"
            )

        await eventually(all_run)
    assert found["fleet.connections"]["detail"].startswith("the running processes may open 11 of ")
    assert found["stream.0.window"]["detail"].endswith("backups are taken every 24.0 h")


async def test_a_failed_check_is_3_and_the_interval_of_backups_is_an_option(
    settings: Settings, database: asyncpg.Connection, tmp_path: Path
) -> None:
    await database.execute("UPDATE alembic_version SET version_num = '0007'")
    code, found = await checks(settings, tmp_path, "--backup-interval", "6")
    assert code == 3
    assert failed(found) == {"postgres.schema"}
    assert found["stream.0.window"]["detail"].endswith("backups are taken every 6.0 h")


async def test_logins_that_lack_a_right_are_told_which_and_what_to_do(
    settings: Settings, redis: Redis, tmp_path: Path
) -> None:
    logins = await make_logins(settings.database_dsn, {"writer": "secret-of-the-tests"})
    async with redis_users(redis) as users:
        code, found = await checks(as_user(settings, "ingest", users, logins["writer"]), tmp_path)
    assert code == 3
    for name, right, fix in [
        ("redis.reachable", "'time'", "of the default user"),
        ("postgres.reachable", "permission denied for ", "of the owner"),
    ]:
        assert found[name]["status"] == "fail"
        assert right in found[name]["detail"]
        assert fix in found[name]["fix"]
