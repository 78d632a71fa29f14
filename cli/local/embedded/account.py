"""Which user PostgreSQL runs as, and where its programs and data must live for that.

An ordinary user runs it, with everything in the data directory. Root cannot: PostgreSQL refuses, so `nobody` runs
it. Where `nobody` cannot reach the programs (a virtual environment below /root) or the data directory, nobody's
permissions on other people's directories are changed; instead a copy of the programs and the cluster live in
/var/lib/studyin-analytics, and the data directory holds a symbolic link to the cluster.
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
    """Where one cluster lives and who runs it."""

    programs: PostgresPrograms
    data: Path
    """The cluster's own directory; its parent belongs to the account too."""
    account: Account | None
    """None: the user of this process."""


class _User(TypedDict):
    user: int | None
    group: int | None
    extra_groups: list[int] | None


def settle(home: Path, programs: PostgresPrograms) -> Residence:
    """Find or make the place for the cluster of `home`. Raises ConfigurationError when there can be none."""
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
    """Return the arguments of subprocess that make it run as the account."""
    if account is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def nobody() -> Account:
    """Return the account that runs PostgreSQL for root. Raises ConfigurationError where there is none."""
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
    """Make the cluster's directory in the data directory, else in /var/lib with a link to it."""
    cluster.mkdir(mode=0o700)
    os.chown(cluster, account.uid, account.gid)
    if _can_run(account, Path("/bin/sh"), "-c", 'cd "$1"', "sh", str(cluster)):
        return cluster
    cluster.rmdir()
    clusters = STATE / "clusters"
    clusters.mkdir(parents=True, exist_ok=True)
    # never a name that exists: its data directory may only have been moved
    prefix = hashlib.sha256(str(cluster.parent).encode()).hexdigest()[:12]
    place = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=clusters))
    cluster.symlink_to(place)
    return place


def _moved(programs: PostgresPrograms) -> PostgresPrograms:
    """Copy the programs to where every user can run them, once per build."""
    if not programs.wheel_parts:
        raise ConfigurationError(f"{programs.postgres} cannot be run by `nobody`, whom root must run it as")
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
            # another start was quicker
            shutil.rmtree(fresh)
    return PostgresPrograms(place / programs.bin.relative_to(base))
