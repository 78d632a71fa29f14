from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.local import dev_file
from cli.local.dev_file import DevFile
from runtime.errors import ConfigurationError

WHERE = DevFile(
    ingest_url="http://127.0.0.1:1",
    dashboard_url="http://127.0.0.1:2",
    write_key="w",
    read_key="r",
    admin_key="a",
    jwt_secret="j",
    database_url="postgresql://dev",
    redis_url="redis://dev",
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    dev_file.write(tmp_path, WHERE)

    assert dev_file.read(tmp_path) == WHERE
    assert (tmp_path / "dev.json").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "dev.json"]


def test_a_removed_file_means_nothing_runs(tmp_path: Path) -> None:
    dev_file.write(tmp_path, WHERE)
    dev_file.remove(tmp_path)
    dev_file.remove(tmp_path)

    assert dev_file.read(tmp_path) is None


def test_commands_find_the_running_system(tmp_path: Path) -> None:
    dev_file.write(tmp_path, WHERE)

    settings = dev_file.resolve_settings(tmp_path)

    assert (settings.redis_dsn, settings.database_dsn) == ("redis://dev", "postgresql://dev")
    assert settings.pseudonymizer().pseudonym("ada") == dev_file.resolve_settings(tmp_path).pseudonymizer().pseudonym(
        "ada"
    )


def test_the_environment_wins_over_the_running_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dev_file.write(tmp_path, WHERE)
    monkeypatch.setitem(os.environ, "REDIS_HOST", "elsewhere")
    monkeypatch.setitem(os.environ, "DATABASE_URL", "postgresql://elsewhere")
    monkeypatch.setitem(os.environ, "ANALYTICS_API_KEYS", "[]")

    settings = dev_file.resolve_settings(tmp_path)

    assert (settings.redis_dsn, settings.database_dsn) == ("redis://elsewhere:6379/0", "postgresql://elsewhere")
    assert settings.api_keys == ()


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text('{"ingest_url": 1}')

    with pytest.raises(ConfigurationError, match="damaged"):
        dev_file.read(tmp_path)
