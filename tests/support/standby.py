"""A standby of a Postgres server, and what makes it the primary."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from cli.local.embedded.account import prepare_residence, run_as
from cli.local.embedded.binaries import find_postgres
from cli.local.embedded.postgres import Postgres
from tests.support.waiting import eventually


def copy_of(primary: Postgres, home: Path) -> Postgres:
    """Return a server that is a standby of `primary` once it is started. Blocks."""
    home.mkdir()
    (home / "password").write_text(urlsplit(primary.url).password or "")
    residence = prepare_residence(home, find_postgres())
    backup: list[str | Path] = [residence.programs.bin / "pg_basebackup", "--dbname", primary.url]
    backup += ["--pgdata", residence.data, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]
    subprocess.run(backup, check=True, capture_output=True, cwd="/", **run_as(residence.account))
    return Postgres(home)


async def commit_on_both(primary: Postgres) -> None:
    """Make each commit wait for the standby, so that nothing that was committed is lost with the primary."""
    connection = await asyncpg.connect(primary.url)
    try:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")
        synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        await eventually(lambda: connection.fetchval(synchronous))
    finally:
        await connection.close()


async def refuse_writes(server: Postgres) -> None:
    """Make transactions read-only by default, and leave connections open."""
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def promote(standby: Postgres) -> None:
    """Make a standby a primary; return when it accepts writes."""
    connection = await asyncpg.connect(standby.url)
    try:
        assert await connection.fetchval("SELECT pg_promote()")
    finally:
        await connection.close()


def address_of(*servers: Postgres) -> str:
    """Return one URL with the hosts of all servers."""
    url = urlsplit(servers[0].url)
    login = url.netloc.rpartition("@")[0]
    hosts = ",".join(urlsplit(server.url).netloc.rpartition("@")[2] for server in servers)
    return url._replace(netloc=f"{login}@{hosts}").geturl()
