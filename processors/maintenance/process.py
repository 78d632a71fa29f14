"""The maintenance process: one process leads and runs the chores, the others stand by.

Writes to Postgres are fenced: a former leader that wakes up has no connection (`storage/database/leadership.py`).
Writes to Redis are not, because each may run twice: trimming and pruning remove only entries that every group has
settled or that are past their retention, a removal of a learner's entries finds nothing the second time, and a stale
publication of keys or tombstones is replaced by that of the leader within five seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from processors.maintenance.chore import Chore
from processors.maintenance.chore_log import ChoreLog
from processors.maintenance.chores import chores
from runtime.clock import utc_now
from runtime.errors import DependencyUnavailable, StorageUnavailable
from runtime.lifecycle import run_together, stop_on_signals, wait
from runtime.polling import poll
from runtime.settings import Settings
from storage.database.failures import confined_refusals
from storage.database.health import ping as ping_storage
from storage.database.leadership import TERM_CONNECTIONS, Leadership, TermPools, leadership, term_pools
from storage.database.pool import open_pool
from stream.server.connection import Redis, connect
from stream.server.health import primary
from telemetry import internal_events as telemetry
from telemetry.exposition import publish_process
from telemetry.health import Check, Readiness
from telemetry.process_facts import measure_process
from telemetry.roles import Role
from web.server.http_server import serve_http
from web.server.listener import status_listener
from web.status import status_application

STAND_BY_SECONDS: Final = 5.0
"""Between two attempts to lead, and between two confirmations of the leader: a third of the time it has for one."""

_HEALTH_CONNECTIONS: Final = 1


class _Over(Exception):
    """Ends the tasks of a term: leadership was lost, or the process must stop."""


async def serve(settings: Settings) -> None:
    """Run maintenance until SIGTERM or SIGINT."""
    with stop_on_signals() as stop:
        await run(settings, stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run maintenance until `stop` is set. A defect in a chore ends the process and is raised."""
    redis = connect(settings, role="maintenance", database_connections=TERM_CONNECTIONS + _HEALTH_CONNECTIONS)
    # of the health check alone: the connections of chores belong to a term of leadership
    pool = await open_pool(
        settings.database_dsn, size=_HEALTH_CONNECTIONS, application_name="analytics-maintenance", lazy=True
    )
    readiness = Readiness([Check("redis", lambda: primary(redis)), Check("postgres", lambda: ping_storage(pool))])
    try:
        # names and intervals alone: each term has its own chores
        duties = [*chores(settings, redis, TermPools(pool, pool)), ChoreLog(redis).chore]
        telemetry.prepare_chores({chore.name: chore.every for chore in duties})
        loops = [_lead_or_stand_by(settings, redis, stop), measure_process(readiness, stop)]
        if settings.metrics_port:
            status = status_application(Role.MAINTENANCE, readiness, stop=stop)
            loops.append(serve_http(status, status_listener(settings), stop))
        telemetry.process_started(Role.MAINTENANCE, publish_process(settings))
        await run_together(stop, *loops)
    finally:
        await pool.close()
        await redis.aclose()
        telemetry.process_stopped(Role.MAINTENANCE)


async def _lead_or_stand_by(settings: Settings, redis: Redis, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            async with leadership(settings.database_dsn) as term:
                if term is not None:
                    async with term_pools(settings.database_dsn, term.epoch) as pools:
                        await _lead(term, chores(settings, redis, pools), ChoreLog(redis), stop)
        except StorageUnavailable as error:
            telemetry.chore_failed("leadership", error)
        await wait(stop, STAND_BY_SECONDS)


async def _lead(term: Leadership, duties: Sequence[Chore], log: ChoreLog, stop: asyncio.Event) -> None:
    telemetry.leadership_changed(leads=True)
    duties = [*duties, log.chore]
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
            telemetry.chore_failed("leadership", error)
            raise _Over from error
        raise _Over


async def _repeat(chore: Chore, log: ChoreLog, over: asyncio.Event) -> None:
    with _ending(over):
        await poll(partial(_take_turn, chore, log), chore.every, over)


async def _take_turn(chore: Chore, log: ChoreLog) -> None:
    started = time.monotonic()
    try:
        with confined_refusals():
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
