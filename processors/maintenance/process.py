"""The maintenance process: one process leads and runs the chores, the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from processors.maintenance.chore import Chore
from processors.maintenance.chore_log import ChoreLog
from processors.maintenance.chores import chores
from processors.retry import until_available
from runtime.clock import utc_now
from runtime.errors import DependencyUnavailable, StorageUnavailable
from runtime.lifecycle import run_together, stop_on_signals, wait
from runtime.polling import poll
from runtime.settings import Settings
from storage.database.health import ping as ping_storage
from storage.database.leadership import Leadership, leadership
from storage.database.pool import Pool, open_pool
from stream.server.connection import connect
from stream.server.health import primary
from telemetry import internal_events as telemetry
from telemetry.exposition import publish_process
from telemetry.health import Check
from telemetry.process_facts import measure_process
from telemetry.roles import Role
from web.server.http_server import serve_http
from web.server.listener import status_listener
from web.status import status_application

STAND_BY_SECONDS: Final = 5.0
POOL_SIZE: Final = 4
LONGEST_STATEMENT: Final = timedelta(minutes=30)


class _Over(Exception):
    """Ends the tasks of a term: leadership was lost, or the process must stop."""


async def serve(settings: Settings) -> None:
    """Run maintenance until SIGTERM or SIGINT."""
    with stop_on_signals() as stop:
        await run(settings, stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run maintenance until `stop` is set. A defect in a chore ends the process and is raised."""
    redis = connect(settings, role="maintenance", database_connections=POOL_SIZE)
    pool = await _open_pool(settings, stop)
    if pool is None:
        await redis.aclose()
        return
    checks = [Check("redis", lambda: primary(redis)), Check("postgres", lambda: ping_storage(pool))]
    try:
        log = ChoreLog(redis)
        duties = [*chores(settings, redis, pool), log.chore]
        telemetry.prepare_chores({chore.name: chore.every for chore in duties})
        loops = [_lead_or_stand_by(pool, duties, log, stop), measure_process(checks, stop)]
        if settings.metrics_port:
            status = status_application(Role.MAINTENANCE, checks, stop=stop)
            loops.append(serve_http(status, status_listener(settings), stop))
        telemetry.process_started(Role.MAINTENANCE, publish_process(settings))
        await run_together(stop, *loops)
    finally:
        await pool.close()
        await redis.aclose()
        telemetry.process_stopped(Role.MAINTENANCE)


async def _open_pool(settings: Settings, stop: asyncio.Event) -> Pool | None:
    try:
        return await until_available(
            lambda: open_pool(
                settings.database_dsn,
                size=POOL_SIZE,
                application_name="analytics-maintenance",
                statement_timeout=LONGEST_STATEMENT,
            ),
            stop,
        )
    except StorageUnavailable:
        return None


async def _lead_or_stand_by(pool: Pool, duties: Sequence[Chore], log: ChoreLog, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with leadership(pool) as term:
                if term is not None:
                    await _lead(term, duties, log, stop)
        except StorageUnavailable as error:
            telemetry.chore_failed("leadership", error)
        await wait(stop, STAND_BY_SECONDS)


async def _lead(term: Leadership, duties: Sequence[Chore], log: ChoreLog, stop: asyncio.Event) -> None:
    telemetry.leadership_changed(leads=True)
    log.begin(duties, utc_now())
    over = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_guard(term, stop, over), name="guard")
            for chore in duties:
                tasks.create_task(_repeat(chore, log, over), name=chore.name)
    except* _Over:
        pass
    finally:
        telemetry.leadership_changed(leads=False)


async def _guard(term: Leadership, stop: asyncio.Event, over: asyncio.Event) -> None:
    with _ending(over):
        try:
            while not (over.is_set() or await wait(stop, STAND_BY_SECONDS)):
                await term.confirm()
        except StorageUnavailable as error:
            raise _Over from error
        raise _Over


async def _repeat(chore: Chore, log: ChoreLog, over: asyncio.Event) -> None:
    with _ending(over):
        await poll(partial(_take_turn, chore, log), chore.every, over)


async def _take_turn(chore: Chore, log: ChoreLog) -> None:
    started = time.monotonic()
    try:
        outcome = await chore.run()
    except DependencyUnavailable as error:
        log.failed(chore.name, error)
        telemetry.chore_failed(chore.name, error)
    else:
        log.succeeded(chore.name)
        telemetry.chore_done(chore.name, time.monotonic() - started, outcome)


@contextlib.contextmanager
def _ending(over: asyncio.Event) -> Iterator[None]:
    """Set `over` at the end of the block: a cancelled chore may end with the error of its connection instead."""
    try:
        yield
    finally:
        over.set()
