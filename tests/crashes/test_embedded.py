"""The servers of `analytics up` keep acknowledged data through kills, restarts and failed starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.local.embedded import account
from cli.local.embedded.binaries import PostgresPrograms, find_postgres
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.process import ServerFailed
from cli.local.embedded.valkey import Valkey
from runtime.errors import ConfigurationError
from tests.support import processes

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another user")


async def rows(server: Postgres) -> list[int]:
    connection = await asyncpg.connect(server.url)
    try:
        return [row["a"] for row in await connection.fetch("SELECT a FROM kept ORDER BY a")]
    finally:
        await connection.close()


async def keep_row(server: Postgres, number: int) -> None:
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (a int)")
        await connection.execute("INSERT INTO kept VALUES ($1)", number)
    finally:
        await connection.close()


def fill(client: redis.Redis) -> None:
    for _ in range(100):
        client.xadd("kept", {"n": "x" * 100_000})


def test_valkey_keeps_what_it_acknowledged_when_it_is_killed(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        for number in range(100):
            client.xadd("kept", {"n": number})
        own_valkey.kill()
        own_valkey.restart()

        assert client.xlen("kept") == 100


def test_valkey_never_evicts_and_needs_its_password(own_valkey: Valkey) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.config_get("rdbcompression") == {"rdbcompression": "no"}
    with (
        redis.Redis(port=own_valkey.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_valkey_refuses_rather_than_forgets_when_memory_is_short(data_directory: Path) -> None:
    server = Valkey(data_directory / "small", max_memory_bytes=4 * 1024**2)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            with pytest.raises(redis.OutOfMemoryError):
                fill(client)
            assert client.xlen("kept") > 0
    finally:
        server.stop()


def test_valkey_is_found_again_at_the_same_address(own_valkey: Valkey, data_directory: Path) -> None:
    with redis.Redis.from_url(own_valkey.url) as client:
        client.set("kept", 1)
    own_valkey.stop()

    second = Valkey(data_directory / "redis")
    second.start()
    try:
        assert second.url == own_valkey.url
        with redis.Redis.from_url(second.url) as client:
            assert client.get("kept") == b"1"
    finally:
        second.stop()


def test_a_password_is_nowhere_in_the_arguments(own_valkey: Valkey, own_postgres: Postgres) -> None:
    for server in (own_valkey, own_postgres):
        password = server.url.split(":")[2].split("@")[0]
        assert len(password) >= 32
        assert server.pid is not None
        assert password not in processes.arguments(server.pid)


async def test_postgres_keeps_what_it_committed_when_it_is_killed(own_postgres: Postgres) -> None:
    await keep_row(own_postgres, 1)
    own_postgres.kill()
    own_postgres.restart()
    await keep_row(own_postgres, 2)

    assert await rows(own_postgres) == [1, 2]


async def test_postgres_is_found_again_at_the_same_address(own_postgres: Postgres, data_directory: Path) -> None:
    await keep_row(own_postgres, 1)
    own_postgres.stop()

    second = Postgres(data_directory / "postgres")
    second.start()
    try:
        assert second.url == own_postgres.url
        assert await rows(second) == [1]
    finally:
        second.stop()


async def test_postgres_needs_its_password_and_is_durable(own_postgres: Postgres) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await connection.fetchval(f"SHOW {name}") == "on"
    assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(own_postgres.url, password="wrong")


async def test_postgres_starts_although_its_old_number_now_is_another_process(own_postgres: Postgres) -> None:
    await keep_row(own_postgres, 1)
    own_postgres.kill()
    pid_file = next(own_postgres.data_directory.glob("postmaster.pid"))
    other = str(os.getppid())
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([other, *lines[1:]]) + "\n")
    (own_postgres.home / "lock").write_text(f"{other}\n")

    own_postgres.restart()

    assert await rows(own_postgres) == [1]


START_AND_DIE = """
import os, pathlib, signal, sys
from cli.local.embedded.postgres import Postgres
from cli.local.embedded.valkey import Valkey
home = pathlib.Path(sys.argv[1])
servers = [Valkey(home / "redis"), Postgres(home / "postgres")]
for server in servers:
    server.start()
    print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left_over(data_directory: Path) -> list[int]:
    """Process ids of servers whose starter was killed."""
    starter = subprocess.run([sys.executable, "-c", START_AND_DIE, str(data_directory)], capture_output=True, text=True)
    assert starter.returncode == -signal.SIGKILL, starter.stderr
    return [int(line) for line in starter.stdout.split()]


async def test_servers_of_a_killed_starter_are_replaced(data_directory: Path, left_over: list[int]) -> None:
    assert all(processes.is_running(pid) for pid in left_over)

    valkey, postgres = Valkey(data_directory / "redis"), Postgres(data_directory / "postgres")
    try:
        valkey.start()
        postgres.start()
        await keep_row(postgres, 1)

        assert not any(processes.is_running(pid) for pid in left_over)
        assert await rows(postgres) == [1]
    finally:
        valkey.stop()
        postgres.destroy()


def test_a_server_that_cannot_start_says_why(data_directory: Path) -> None:
    home = data_directory / "redis"
    (home / "appendonlydir").mkdir(parents=True)
    (home / "appendonlydir" / "appendonly.aof.manifest").write_text("damaged\n")

    with pytest.raises(ServerFailed, match=r"Valkey ended with code 1: .*manifest"):
        Valkey(home).start()


def test_a_cluster_of_another_version_is_refused(own_postgres: Postgres, data_directory: Path) -> None:
    own_postgres.stop()
    (own_postgres.data_directory / "PG_VERSION").write_text("9\n")

    with pytest.raises(ConfigurationError, match="of PostgreSQL 9, the program found is"):
        Postgres(data_directory / "postgres").start()


def test_an_interrupted_first_start_is_begun_anew(data_directory: Path) -> None:
    server = Postgres(data_directory / "postgres")
    half_made = data_directory / "postgres" / "cluster" / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    server.start()
    try:
        assert server.pid is not None
    finally:
        server.destroy()


@pytest.fixture
def private_directory(data_directory: Path) -> Path:
    """A directory that no other user may enter, such as root's home."""
    place = data_directory / "private"
    place.mkdir(mode=0o700)
    return place


@as_root
async def test_root_hands_postgres_to_nobody_even_from_a_private_directory(
    private_directory: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = data_directory / "state"
    monkeypatch.setattr(account, "STATE", state)
    server = Postgres(private_directory / "postgres")
    try:
        server.start()
        await keep_row(server, 1)
        server.stop()
        server.start()

        assert await rows(server) == [1]
        link = private_directory / "postgres" / "cluster"
        assert link.is_symlink()
        assert link.resolve().parent == state / "clusters"
        assert server.pid is not None
        assert processes.owner(server.pid) == account.nobody().uid
    finally:
        server.destroy()
    assert list((state / "clusters").iterdir()) == []


@as_root
def test_programs_nobody_can_run_are_copied_once(
    private_directory: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_postgres()
    base = found.wheel_parts[0].parent.parent
    for part in found.wheel_parts:
        shutil.copytree(part, private_directory / part.relative_to(base))
    hidden = PostgresPrograms(
        private_directory / found.bin.relative_to(base),
        tuple(private_directory / part.relative_to(base) for part in found.wheel_parts),
    )
    state = data_directory / "state"
    monkeypatch.setattr(account, "STATE", state)
    server = Postgres(data_directory / "postgres", programs=hidden)
    try:
        server.start()
        [copy] = state.glob("postgres-*")
        made = copy.stat().st_mtime_ns
        server.stop()
        server.start()

        assert server.pid is not None
        assert processes.program(server.pid).is_relative_to(copy)
        assert copy.stat().st_mtime_ns == made
        assert list(state.iterdir()) == [copy]
        assert private_directory.stat().st_mode & 0o777 == 0o700
    finally:
        server.destroy()
