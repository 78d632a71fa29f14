"""Postgres is lost or damaged by a mistake, and restored by the commands of docs/operations.md."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from cli.local.embedded.account import prepare_residence, run_as
from cli.local.embedded.binaries import find_postgres
from cli.local.embedded.postgres import Postgres
from processors.maintenance.erasure import carry_out
from processors.maintenance.tombstones import TombstonePublisher
from runtime.clock import utc_now
from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from storage.database.migrate import upgrade
from storage.database.pool import open_pool
from storage.privacy.erasure import request_erasure
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.entries import append_events
from tests.support.guide import GUIDE, scripts
from tests.support.traffic import demo_traffic
from tests.support.waiting import eventually
from tests.support.working import working

Events = tuple[AcceptedEvent, ...]

TRAFFIC = demo_traffic(900)
COPIED, ARCHIVED, LATEST = TRAFFIC[:300], TRAFFIC[300:600], TRAFFIC[600:]


[COPY] = scripts("Back up")
[ARCHIVING] = scripts("Back up", "ini")
PUT_BACK, TO_A_MOMENT, REPLAY, VERIFY = scripts("Restore")

RUN = (COPY, PUT_BACK, TO_A_MOMENT, REPLAY, VERIFY)
"""The blocks of commands that this module runs."""


class Cluster:
    """A Postgres server with an archive, whose data directory may be lost."""

    def __init__(self, server: Postgres, settings: Settings) -> None:
        self._server = server
        self._residence = prepare_residence(server.home, find_postgres())
        self._backup = self._residence.data.parent / "backup"
        self.settings = settings.model_copy(update={"database_url": SecretStr(server.url)})

    def start_archiving(self) -> None:
        """Configure the archive, and restart."""
        (self._backup / "wal").mkdir(parents=True)
        if self._residence.account:
            for place in (self._backup, self._backup / "wal"):
                os.chown(place, self._residence.account.uid, self._residence.account.gid)
        with (self._residence.data / "postgresql.conf").open("a") as file:
            file.write(self._here(ARCHIVING))
        self._server.restart()

    def run(self, script: str, **variables: str) -> str:
        """Run commands of the guide as the user of Postgres; return their output."""
        return self._shell(self._here(script), as_server=True, **variables)

    def run_analytics(self, script: str, **variables: str) -> str:
        """Run commands of the guide as an operator; return their output."""
        return self._shell(script, as_server=False, **variables)

    def lose(self) -> None:
        """Kill the server and delete its data."""
        self._server.kill()
        shutil.rmtree(self._residence.data)

    def start(self) -> None:
        """Start the server; return when it accepts connections."""
        self._server.restart()

    def _here(self, text: str) -> str:
        return text.replace("/backup/", f"{self._backup}/")

    def _shell(self, script: str, *, as_server: bool, **variables: str) -> str:
        programs = self._residence.programs.bin if as_server else Path(sys.executable).parent
        done = subprocess.run(
            ["/bin/sh", "-euc", script],
            env={
                "PATH": f"{programs}:{os.defpath}",
                "PGDATA": str(self._residence.data),
                "DATABASE_URL": self.settings.database_dsn,
                "REDIS_URL": self.settings.redis_dsn,
                **variables,
            },
            cwd="/" if as_server else GUIDE.parents[1],
            capture_output=True,
            text=True,
            check=False,
            **run_as(self._residence.account if as_server else None),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
async def cluster(own_postgres: Postgres, settings: Settings) -> Cluster:
    cluster = Cluster(own_postgres, settings)
    cluster.start_archiving()
    await upgrade(own_postgres.url)
    return cluster


def ids(events: Events) -> set[UUID]:
    return {one.event_id for one in events}


async def store(settings: Settings, redis: Redis, events: Events, so_far: Events) -> None:
    await append_events(redis, events)
    sent = ids(so_far + events)
    async with working(settings):
        await assert_nothing_lost(settings, accepted=sent, sent=sent, parked=0)


async def stored(settings: Settings) -> set[UUID]:
    connection = await asyncpg.connect(settings.database_dsn)
    try:
        return {row[0] for row in await connection.fetch("SELECT event_id FROM analytics_events")}
    finally:
        await connection.close()


async def archive(settings: Settings) -> None:
    """Close the current segment, and wait until the archive has it."""
    connection = await asyncpg.connect(settings.database_dsn)
    try:
        segment = await connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
        await eventually(lambda: connection.fetchval("SELECT last_archived_wal >= $1 FROM pg_stat_archiver", segment))
    finally:
        await connection.close()


@pytest.mark.timeout(180)
async def test_a_lost_cluster_comes_back_whole_from_copy_archive_and_stream(cluster: Cluster, redis: Redis) -> None:
    await store(cluster.settings, redis, COPIED, ())
    cluster.run(COPY)
    await store(cluster.settings, redis, ARCHIVED, COPIED)
    await archive(cluster.settings)
    await store(cluster.settings, redis, LATEST, COPIED + ARCHIVED)

    cluster.lose()
    cluster.run(PUT_BACK, DAY=f"{utc_now():%Y-%m-%d}")
    cluster.start()
    assert ids(COPIED + ARCHIVED) <= await stored(cluster.settings) < ids(TRAFFIC)

    cluster.run_analytics(REPLAY, SINCE="1h")
    cluster.run_analytics(VERIFY)
    await assert_nothing_lost(cluster.settings, accepted=ids(TRAFFIC), sent=ids(TRAFFIC), parked=0)


@pytest.mark.timeout(180)
async def test_a_mistake_is_undone_and_an_erasure_after_the_moment_is_repeated(cluster: Cluster, redis: Redis) -> None:
    await store(cluster.settings, redis, COPIED, ())
    cluster.run(COPY)
    await store(cluster.settings, redis, ARCHIVED, COPIED)
    learner = next(one.user_hash for one in COPIED if one.user_hash)
    pool = await open_pool(cluster.settings.database_dsn, size=2, application_name="tests")
    moment: datetime = await pool.fetchval("SELECT clock_timestamp()")
    await request_erasure(pool, [learner], "tests")
    assert await carry_out(redis, pool, [0]) == 1
    await TombstonePublisher(redis, pool).publish()
    await pool.execute("TRUNCATE learning_sessions")
    await pool.close()
    await archive(cluster.settings)

    cluster.lose()
    cluster.run(PUT_BACK, DAY=f"{utc_now():%Y-%m-%d}")
    cluster.run(TO_A_MOMENT, MOMENT=moment.isoformat(sep=" "))
    cluster.start()
    await store(cluster.settings, redis, LATEST, COPIED + ARCHIVED)
    cluster.run_analytics(REPLAY, SINCE=(moment - timedelta(seconds=1)).isoformat())

    pool = await open_pool(cluster.settings.database_dsn, size=2, application_name="tests")
    held = "SELECT count(*) FROM analytics_events WHERE user_hash = $1"
    assert await pool.fetchval(held, learner) > 0
    await TombstonePublisher(redis, pool).publish()
    assert await carry_out(redis, pool, [0]) == 1
    assert await pool.fetchval(held, learner) == 0
    await pool.close()
    cluster.run_analytics(VERIFY)
