"""Every command exits with the documented code and without a traceback, whatever its input."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from runtime.settings import Settings
from tests.support.commands import command_line
from tests.support.terminal import Operator

AWAY = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9"}
WRONG_USAGE = [
    "doctor --bogus",
    "nothing",
    "events --limit many",
    "events --since yesterday",
    "worker --group other",
    "dlq show 7",
    "dlq list --since yesterday",
    "privacy log --since yesterday",
    "send nowhere.ndjson --url http://127.0.0.1:9 --key k",
    "send . --url http://127.0.0.1:9 --key k",
    "tail --url nowhere --key k",
    "demo --rate fast",
]
SERVERS_AWAY = [
    "migrate status",
    "migrate up",
    "migrate down base --yes",
    "verify",
    "events",
    "dlq list",
    "doctor",
    "top --once",
]


def run(command: str, place: Path, **environment: str) -> tuple[int, str]:
    ended = subprocess.run(
        command_line(*command.split()),
        cwd=place,
        env={"ANALYTICS_ENVIRONMENT": "dev", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("command", WRONG_USAGE)
def test_wrong_usage_is_2(tmp_path: Path, command: str) -> None:
    code, said = run(command, tmp_path, **AWAY)
    assert code == 2, said


@pytest.mark.parametrize("command", SERVERS_AWAY)
def test_servers_that_are_away_are_3(tmp_path: Path, command: str) -> None:
    code, said = run(command, tmp_path, **AWAY)
    assert code == 3, said


@pytest.mark.parametrize("command", ["doctor", "verify", "events", "ingest", "migrate status"])
def test_bad_settings_are_2_and_named(tmp_path: Path, command: str) -> None:
    code, said = run(command, tmp_path, ANALYTICS_BATCH_SIZE="many")
    assert code == 2
    assert "ANALYTICS_BATCH_SIZE" in said


EVERY_COMMAND = [
    "ingest",
    "worker",
    "worker --group live",
    "dashboard",
    "maintenance",
    "migrate status",
    "doctor",
    "top --once",
    "verify",
    "events",
    "dlq list",
    "privacy audit",
    "keys list",
]
SECRET = "hunter2"


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_the_url_of_a_server_that_cannot_be_used_is_2_for_every_command(tmp_path: Path, command: str) -> None:
    code, said = run(command, tmp_path, **AWAY | {"REDIS_URL": f"redis://:{SECRET}@localhost:port/0"})
    assert (code, "REDIS_URL: its port is not a number" in said, SECRET in said) == (2, True, False), said


@pytest.fixture
def unmigrated(empty_database_url: str, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url}


OF_THE_SCHEMA = ["verify", "rebuild", "events", "dlq list", "privacy audit", "privacy export ada", "keys list"]
KEYS = {"ANALYTICS_PSEUDONYM_KEYS": f"1:{'ab' * 32}"}


@pytest.mark.parametrize("command", [*OF_THE_SCHEMA, "replay --from 1h", "doctor"])
def test_a_database_that_was_never_migrated_is_3(tmp_path: Path, unmigrated: dict[str, str], command: str) -> None:
    code, said = run(command, tmp_path, **unmigrated, **KEYS)
    assert (code, "never migrated" in said, "analytics migrate up" in said) == (3, True, True), said


async def test_a_database_of_another_release_is_3(
    tmp_path: Path, settings: Settings, database: asyncpg.Connection
) -> None:
    for revision, advice in (("0007", "analytics migrate up"), ("9999", "use the newer release")):
        await database.execute("UPDATE alembic_version SET version_num = $1", revision)
        for command in ("verify", "rebuild", "doctor"):
            ended = await Operator(settings, tmp_path).run(command)
            assert (ended.code, advice in ended.out + ended.err) == (3, True), ended
            assert revision in ended.out + ended.err
            assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"database": "nowhere"}, "no database of the name in DATABASE_URL"),
        ({"user": "nobody_here"}, "refuses the login: check user and password in DATABASE_URL"),
        ({"port": 9}, "cannot be reached at DATABASE_URL"),
    ],
)
def test_each_trouble_with_a_database_has_its_line(
    tmp_path: Path, database_url: str, change: dict[str, str | int], told: str
) -> None:
    parts = urlsplit(database_url)
    host = f"{parts.hostname}:{change.get('port', parts.port)}"
    user = change.get("user", parts.username)
    password = SECRET if "user" in change else parts.password or ""
    path = f"/{change['database']}" if "database" in change else parts.path
    url = parts._replace(netloc=f"{user}:{password}@{host}" if user else host, path=path).geturl()
    code, said = run("events", tmp_path, DATABASE_URL=url)
    assert (code, told in said, SECRET in said) == (3, True, False), said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["privacy export", "privacy erase --yes", "events --user", "privacy log --user-id"])
def test_an_empty_user_id_is_wrong_usage(tmp_path: Path, command: str) -> None:
    arguments = [*command.split(), ""]
    environment = {"ANALYTICS_ENVIRONMENT": "dev"} | AWAY | KEYS
    ended = subprocess.run(command_line(*arguments), cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (ended.returncode, b"is empty" in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("origins", ["*", '["null"]'])
def test_an_origin_of_everybody_is_2_and_named(tmp_path: Path, origins: str) -> None:
    code, said = run("dashboard", tmp_path, ANALYTICS_CORS_ORIGINS=origins)
    assert code == 2
    assert "ANALYTICS_CORS_ORIGINS" in said
