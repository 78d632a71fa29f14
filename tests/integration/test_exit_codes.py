"""Every command ends with the documented code and without a traceback, whatever it was given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
SERVERS_AWAY = ["migrate status", "migrate up", "migrate down base --yes", "verify", "events", "dlq list", "doctor"]


def run(command: str, place: Path, **environment: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "cli.main", *command.split()],
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


@pytest.mark.parametrize("origins", ["*", '["null"]'])
def test_an_origin_of_everybody_is_2_and_named(tmp_path: Path, origins: str) -> None:
    code, said = run("dashboard", tmp_path, ANALYTICS_CORS_ORIGINS=origins)
    assert code == 2
    assert "ANALYTICS_CORS_ORIGINS" in said
