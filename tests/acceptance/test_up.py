"""The whole system as a newcomer starts it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from cli.local import dev_file
from cli.local.dev_file import DevFile
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
from cli.local.process_logins import postgres_password_variable, redis_password_variable
from storage.database.roles import ROLES, login_of
from stream.server.permissions import RULES
from tests.support import processes
from tests.support.redis_users import redis_users
from tests.support.up import Up, remove_leftovers, send, until_total_xp, up
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def system(data_directory: Path) -> Iterator[Up]:
    with up(data_directory) as running:
        yield running


async def test_an_event_becomes_an_answer_and_is_found_by_the_next_start(system: Up, data_directory: Path) -> None:
    where = await system.ready()
    await send(where, "ada", 50)
    await until_total_xp(where, "ada", 50)
    started = {system.process.pid, *system.children}

    assert (data_directory / dev_file.NAME).stat().st_mode & 0o777 == 0o600
    assert f"{where.dashboard_url}/#key={where.read_key}&user_id=ada" in system.output
    assert len(started) == 1 + 2 + 5
    assert system.interrupt() == 0
    assert dev_file.read(data_directory) is None
    assert [pid for pid in started if processes.is_running(pid)] == []

    with up(data_directory) as second:
        again = await second.ready()
        assert (again.write_key, again.database_url, again.redis_url) == (
            where.write_key,
            where.database_url,
            where.redis_url,
        )
        await until_total_xp(again, "ada", 50)


SECRETS_OF_THE_CALLER = {
    "PGPASSWORD": "secret-of-the-caller",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-caller",
    "REDIS_PASSWORD": "secret-of-the-caller",
    "POSTGRES_READER_PASSWORD": "secret-of-the-caller",
}


async def test_each_process_logs_in_as_itself_and_has_no_secret_of_another(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS_OF_THE_CALLER.items():
        monkeypatch.setenv(name, value)
    with up(data_directory) as system:
        where = await system.ready()
        await send(where, "ada", 50)
        await until_total_xp(where, "ada", 50)
        await has_its_own_login(where)
        has_its_own_secrets(system)


async def test_on_given_servers_each_process_logs_in_as_itself_where_its_password_is_given(
    data_directory: Path, own_valkey: Valkey, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"REDIS_URL": own_valkey.url, "DATABASE_URL": own_postgres.url}
    async with Redis.from_url(own_valkey.url) as redis, redis_users(redis) as users:
        given |= {redis_password_variable(user): password for user, password in users.items()}
        given |= {postgres_password_variable(role): f"a password of the {role}" for role in ROLES}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        (data_directory / "up").mkdir()
        with up(data_directory / "up") as system:
            where = await system.ready()
            await send(where, "ada", 50)
            await until_total_xp(where, "ada", 50)
            await has_its_own_login(where)
            operators = {unquote(urlsplit(url).password or "") for url in (own_valkey.url, own_postgres.url)}
            environments = [str(processes.environment(pid)) for pid in system.children]
            assert not [word for word in operators for environment in environments if word in environment]
            assert where.shared_logins == ""


async def has_its_own_login(where: DevFile) -> None:
    database = await asyncpg.connect(where.database_url)
    rows = await database.fetch(
        "SELECT DISTINCT usename, application_name FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    await database.close()
    assert {row["usename"] for row in rows} == {login_of(role) for role in ROLES}, rows
    async with Redis.from_url(where.redis_url) as redis:
        clients = await redis.client_list()
    ours = {client["user"] for client in clients if client["name"].startswith("studyin-analytics/")}
    assert ours == {"ingest", "worker", "live", "maintenance", "dashboard"}


NEEDED: dict[str, set[str]] = {
    "cli.main ingest": {"write_key", "pseudonym_keys", "api_key_secret", "redis ingest"},
    "cli.main dashboard": {
        *("read_key", "admin_key", "jwt_secret", "pseudonym_keys", "api_key_secret"),
        *("redis dashboard", "postgres reader"),
    },
    "worker --group store": {"redis worker", "postgres writer"},
    "worker --group live": {"redis live"},
    "cli.main maintenance": {"redis maintenance", "postgres maintenance"},
    "valkey-server": set(),
    "bin/postgres": set(),
}


def has_its_own_secrets(system: Up) -> None:
    home = system.data_dir
    secrets = json.loads((home / dev_file.ACCESS_NAME).read_text())
    secrets |= {f"redis {user}": (home / "redis" / f"password-{user}").read_text() for user in RULES}
    secrets |= {f"postgres {role}": f"{login_of(role)}:" for role in ROLES}
    secrets |= {"redis": (home / "redis" / "password").read_text()}
    secrets |= {"postgres": (home / "postgres" / "password").read_text(), "caller": "secret-of-the-caller"}
    found = {}
    for words in NEEDED:
        pid = system.child(words)
        assert pid is not None, words
        given = str(processes.environment(pid))
        found[words] = {name for name, secret in secrets.items() if secret in given}
    assert found == NEEDED


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("worker-1", "worker --group store"),
        ("worker-live", "worker --group live"),
        ("ingest", "cli.main ingest"),
        ("dashboard", "cli.main dashboard"),
        ("Redis", "valkey-server"),
        ("Postgres", "bin/postgres"),
    ],
)
async def test_what_is_killed_is_started_again_and_events_flow(system: Up, name: str, words: str) -> None:
    where = await system.ready()
    await send(where, "ada", 1)
    # entries of a killed worker are claimed only after ANALYTICS_CLAIM_IDLE_SECONDS
    await until_total_xp(where, "ada", 1)
    killed = system.child(words)
    assert killed is not None, system.children

    os.kill(killed, signal.SIGKILL)
    await send(where, "ada", 2)
    await eventually(lambda: system.child(words) not in (None, killed))

    await until_total_xp(where, "ada", 3)
    assert re.search(rf"{name} .*starting again in 0\.5 s", system.output)
    assert system.interrupt() == 0


async def test_nothing_of_ours_outlives_a_killed_starter(system: Up, data_directory: Path) -> None:
    where = await system.ready()
    await send(where, "ada", 50)
    services = [pid for pid, arguments in system.children.items() if "cli.main" in arguments]
    system.process.kill()
    system.process.wait()

    await eventually(lambda: not any(processes.is_running(pid) for pid in services))
    with up(data_directory) as second:
        await until_total_xp(await second.ready(), "ada", 50)
    remove_leftovers(data_directory)


async def test_one_directory_belongs_to_one_system(system: Up, data_directory: Path, tmp_path: Path) -> None:
    where = await system.ready()
    taken = where.ingest_url.rpartition(":")[2]

    for options, word in (
        (["--data-dir", str(data_directory)], "another `analytics up` runs in"),
        (["--data-dir", str(tmp_path), "--ingest-port", taken], f"port {taken} is taken; give --ingest-port another"),
    ):
        with up(tmp_path, *options) as second:
            assert second.process.wait() == 2
            assert word in second.output
    assert dev_file.read(data_directory) == where
