"""Maintenance during failures: an outage delays a chore, a lost leader is replaced, a defect is raised."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from pydantic import SecretStr

from cli.local.embedded.valkey import Valkey
from processors.maintenance import process as maintenance
from processors.maintenance.chore import Chore
from runtime.errors import StorageUnavailable
from runtime.settings import Settings
from storage.database.locks import LEADER_LOCK_ROW
from telemetry import leader_facts, metrics
from tests.support.loops import looping
from tests.support.waiting import eventually

OF_REDIS = (
    "trim_streams",
    "remove_idle_consumers",
    "watch_streams",
    "measure_lag",
)
OF_POSTGRES = (
    "ensure_partitions",
    "drop_expired",
    "prune_system_metrics",
    "prune_ledger",
    "prune_dead_letters",
    "refresh_summary",
    "measure_losses",
)

HOLDER = f"SELECT pid FROM pg_locks WHERE {LEADER_LOCK_ROW}"


def turns(names: tuple[str, ...], outcome: str) -> dict[str, float]:
    return {name: metrics.CHORE_RUNS.labels(name, outcome)._value.get() for name in names}


def grown(names: tuple[str, ...], outcome: str, before: dict[str, float]) -> bool:
    return all(count > before[name] for name, count in turns(names, outcome).items())


def exported(name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def last_success(chore: str) -> float | None:
    return exported("analytics_maintenance_last_success_timestamp_seconds", chore=chore)


async def test_an_unreachable_server_fails_one_chore_and_not_the_others(settings: Settings) -> None:
    alone = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    failed, done = turns(OF_REDIS, "failed"), turns(OF_POSTGRES, "ok")
    async with looping(maintenance.run, alone):
        await eventually(lambda: grown(OF_REDIS, "failed", failed) and grown(OF_POSTGRES, "ok", done))
        assert metrics.IS_LEADER._value.get() == 1
        assert {name for name in OF_REDIS if last_success(name) == 0} == set(OF_REDIS)
        assert {name for name in OF_POSTGRES if last_success(name) == 0} == set()
        assert exported("analytics_maintenance_interval_seconds", chore="measure_lag") == 5
    assert last_success("measure_lag") is None


async def test_the_facts_of_a_chore_vanish_when_it_fails(settings: Settings, own_valkey: Valkey) -> None:
    quick = settings.model_copy(update={"redis_url": SecretStr(own_valkey.url)})
    async with looping(maintenance.run, quick):
        await eventually(lambda: exported("analytics_redis_memory_bytes") is not None)
        leader_facts.TERM.plan({"measure_lag": timedelta(seconds=0.1)})
        own_valkey.stop()
        await eventually(lambda: exported("analytics_redis_memory_bytes") is None)


# asyncpg leaves a connection open whose owner is cancelled while it is made
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_losing_the_lock_ends_leadership_and_another_process_takes_it(
    settings: Settings, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "STAND_BY_SECONDS", 0.05)
    async with looping(maintenance.run, settings), looping(maintenance.run, settings):
        await eventually(lambda: database.fetchval(HOLDER))
        first = await database.fetchval(HOLDER)
        done = turns(OF_POSTGRES, "ok")
        await database.execute("SELECT pg_terminate_backend($1)", first)

        async def another_leads() -> bool:
            return await database.fetchval(HOLDER) not in (None, first)

        await eventually(another_leads)
        await eventually(lambda: grown(OF_POSTGRES, "ok", done))
    assert await database.fetchval(HOLDER) is None
    assert metrics.IS_LEADER._value.get() == 0


async def test_a_chore_that_fails_instead_of_being_cancelled_does_not_keep_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()

    async def lose_the_connection_when_cancelled() -> str:
        started.set()
        try:
            return str(await asyncio.Event().wait())
        except asyncio.CancelledError as error:
            raise StorageUnavailable("connection") from error

    stubborn = Chore("trim_streams", timedelta(hours=1), lose_the_connection_when_cancelled)
    monkeypatch.setattr(maintenance, "chores", lambda *_: [stubborn])
    async with looping(maintenance.run, settings):
        await started.wait()


async def test_a_statement_that_postgres_refuses_fails_one_chore_and_not_the_others(
    settings: Settings, database: asyncpg.Connection
) -> None:
    await database.execute("ALTER TABLE settled_entries RENAME COLUMN settled_at TO renamed")
    refused, others = ("prune_ledger",), tuple(name for name in OF_POSTGRES if name != "prune_ledger")
    failed, done = turns(refused, "failed"), turns(others, "ok")
    async with looping(maintenance.run, settings):
        await eventually(lambda: grown(refused, "failed", failed) and grown(others, "ok", done))


async def test_a_defect_ends_the_process_and_frees_the_lock(
    settings: Settings, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(maintenance, "chores", lambda *_: [Chore("trim_streams", timedelta(hours=1), broken)])
    with pytest.raises(ExceptionGroup) as ended:
        await maintenance.run(settings, asyncio.Event())
    assert ended.group_contains(ZeroDivisionError)
    await eventually(lambda: _is_free(database))


async def _is_free(database: asyncpg.Connection) -> bool:
    return await database.fetchval(HOLDER) is None
