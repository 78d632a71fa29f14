"""Selects the user that PostgreSQL runs as, and the place of its programs and data.

For an ordinary user, PostgreSQL runs as this user, with everything in the data directory. PostgreSQL refuses to run as
root, so root runs it as `nobody`. If `nobody` cannot reach the programs (a virtual environment below /root) or the data
directory, no permissions are changed: a copy of the programs and the cluster are in /var/lib/studyin-analytics, and the
data directory has a symbolic link to the cluster.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from cli.local.embedded.binaries import PostgresPrograms
from cli.local.embedded.process import Account
from runtime.errors import ConfigurationError

STATE = Path("/var/lib/studyin-analytics")


@dataclass(frozen=True, slots=True)
class Residence:
    """Programs, data and user of one cluster."""

    programs: PostgresPrograms
    data: Path
    """Directory of the cluster. Its parent belongs to the account too."""
    account: Account | None
    """None: the user of this process."""


class _User(TypedDict):
    user: int | None
    group: int | None
    extra_groups: list[int] | None


def prepare_residence(home: Path, programs: PostgresPrograms) -> Residence:
    """Find or create the place for the cluster of `home`. Raises ConfigurationError if that is not possible."""
    account = nobody() if os.geteuid() == 0 else None
    cluster = home.absolute() / "cluster"
    if account is None:
        cluster.mkdir(mode=0o700, exist_ok=True)
        return Residence(programs, cluster / "data", None)
    if not _can_run(account, programs.postgres, "--version"):
        programs = _moved(programs)
    if cluster.is_symlink():
        cluster = cluster.resolve()
    elif not cluster.exists():
        cluster = _make_place(cluster, account)
    os.chown(cluster, account.uid, account.gid)
    return Residence(programs, cluster / "data", account)


def run_as(account: Account | None) -> _User:
    """Return the arguments with which subprocess runs as the account."""
    if account is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def nobody() -> Account:
    """Return the account `nobody`, which runs PostgreSQL for root. Raises ConfigurationError if it does not exist."""
    try:
        found = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigurationError(
            "PostgreSQL refuses to run as root and this machine has no user `nobody`: run as an ordinary user,"
            " or set DATABASE_URL"
        ) from None
    return Account(found.pw_uid, found.pw_gid)


def _can_run(account: Account, program: Path, *arguments: str) -> bool:
    try:
        done = subprocess.run([program, *arguments], capture_output=True, check=False, cwd="/", **run_as(account))
    except PermissionError:
        return False
    return done.returncode == 0


def _make_place(cluster: Path, account: Account) -> Path:
    """Create the directory of the cluster in the data directory, or else in /var/lib with a link to it."""
    cluster.mkdir(mode=0o700)
    os.chown(cluster, account.uid, account.gid)
    if _can_run(account, Path("/bin/sh"), "-c", 'cd "$1"', "sh", str(cluster)):
        return cluster
    cluster.rmdir()
    clusters = STATE / "clusters"
    clusters.mkdir(parents=True, exist_ok=True)
    # always a new name: the owner of an existing one may have moved its data directory
    prefix = hashlib.sha256(str(cluster.parent).encode()).hexdigest()[:12]
    place = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=clusters))
    cluster.symlink_to(place)
    return place


def _moved(programs: PostgresPrograms) -> PostgresPrograms:
    """Copy the programs to a place where every user can run them, once per build."""
    if not programs.wheel_parts:
        raise ConfigurationError(f"{programs.postgres} cannot be run by `nobody`, as root has to")
    base = programs.wheel_parts[0].parent.parent
    place = STATE / f"postgres-{programs.fingerprint()}"
    if not place.exists():
        STATE.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".postgres-", dir=STATE))
        fresh.chmod(0o755)
        for part in programs.wheel_parts:
            shutil.copytree(
                part,
                fresh / part.relative_to(base),
                ignore=shutil.ignore_patterns("include", "*.a"),
            )
        try:
            fresh.rename(place)
        except OSError:
            # a concurrent start was faster
            shutil.rmtree(fresh)
    return PostgresPrograms(place / programs.bin.relative_to(base))
