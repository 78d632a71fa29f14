"""Processes of `analytics up` on external servers share the operator's login only if no other is given."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote, urlsplit

import asyncpg

from cli.diagnosis import check_logins
from cli.local.dev_file import DevFile
from cli.local.process_logins import create_database_logins, find_missing_passwords, resolve_redis_urls
from runtime.settings import Settings
from storage.database.roles import ROLES, login_of
from stream.server.permissions import RULES

RUNNING = DevFile("http://i", "http://d", "w", "r", "a", "j", "postgresql://p", "redis://r")


def test_a_user_of_redis_with_a_password_has_it_and_nothing_of_the_operators() -> None:
    url = "rediss://boss:secret@cache:6380/2?ssl_cert_reqs=required&password=secret"
    urls = resolve_redis_urls(url, {"REDIS_WORKER_PASSWORD": "p@ss/word", "REDIS_LIVE_PASSWORD": ""})

    assert urls["worker"] == "rediss://worker:p%40ss%2Fword@cache:6380/2?ssl_cert_reqs=required"
    assert {urls[user] for user in RULES if user != "worker"} == {url}

    through_sentinels = "redis+sentinel://boss:secret@one:26379,two/mymaster/2?sentinel_password=s"
    urls = resolve_redis_urls(through_sentinels, {"REDIS_WORKER_PASSWORD": "p@ss/word"})
    assert urls["worker"] == "redis+sentinel://worker:p%40ss%2Fword@one:26379,two/mymaster/2?sentinel_password=s"


async def test_a_login_of_postgres_with_a_password_is_made_and_used(
    settings: Settings, database: asyncpg.Connection
) -> None:
    password = "a p@ssword of the tests"
    urls = await create_database_logins(settings.database_dsn, {"POSTGRES_WRITER_PASSWORD": password})

    assert {urls[role] for role in ROLES if role != "writer"} == {settings.database_dsn}
    place = urlsplit(urls["writer"])
    assert (place.username, unquote(place.password or "")) == (login_of("writer"), password)
    worker = await asyncpg.connect(urls["writer"])
    assert await worker.fetchval("SELECT current_user") == login_of("writer")
    await worker.close()


def test_what_is_shared_is_said_by_doctor_while_the_system_runs() -> None:
    given = {"REDIS_WORKER_PASSWORD": "p", "POSTGRES_READER_PASSWORD": "p", "POSTGRES_WRITER_PASSWORD": "p"}
    shared = find_missing_passwords(given, redis=True, postgres=True)
    assert len(shared) == len(RULES) + len(ROLES) - len(given)
    assert find_missing_passwords({}, redis=False, postgres=False) == []

    assert check_logins(None) == []
    [own] = check_logins(RUNNING)
    assert (own.name, own.status) == ("up.logins", "ok")
    [found] = check_logins(replace(RUNNING, shared_logins=", ".join(shared)))
    assert (found.status, "POSTGRES_MAINTENANCE_PASSWORD" in found.fix) == ("warn", True)
