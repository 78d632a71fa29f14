"""`analytics top`: a live view of the running system, from Redis and Postgres alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from cli.local.dev_file import DATA_DIR, DataDir, resolve_settings
from cli.output import live_view, show_json, show_sections
from cli.top.document import document
from cli.top.facts import Sample, read_sample
from cli.top.frame import frame
from runtime.errors import ConfigurationError
from runtime.lifecycle import run_until_stopped, stop_on_signals, wait
from runtime.settings import Settings
from storage.database.pool import Pool, open_pool
from stream.server.connection import Redis, connect


def top(
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print one JSON document.")] = False,
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two frames, over which rates are measured.")
    ] = 2.0,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show rates, lag, workers, memory, connections, chores and dead letters until Ctrl-C. No data of learners.

    Reads Redis and Postgres, and needs no Prometheus. While one of them is out of reach, the rest is shown. With
    --once, exit code 3 if one is.
    """
    if as_json and not once:
        raise ConfigurationError("--json needs --once")
    settings = resolve_settings(data_dir)
    if once:
        _show_once(*asyncio.run(_two_samples(settings, interval)), as_json=as_json)
    else:
        asyncio.run(_follow(settings, interval))


def _show_once(previous: Sample | None, current: Sample | None, *, as_json: bool) -> None:
    if current is None:
        return
    if as_json:
        show_json(document(previous, current))
    else:
        show_sections(frame(previous, current))
    if current.errors:
        raise typer.Exit(3)


async def _two_samples(settings: Settings, interval: float) -> tuple[Sample | None, Sample | None]:
    """Return two samples; None for those that a signal prevented."""
    with stop_on_signals() as stop:
        async with _servers(settings) as (redis, pool):
            previous = await run_until_stopped(read_sample(settings, redis, pool), stop)
            if previous is None or await wait(stop, interval):
                return None, previous
            return previous, await run_until_stopped(read_sample(settings, redis, pool), stop)


async def _follow(settings: Settings, interval: float) -> None:
    with stop_on_signals() as stop, live_view() as view:
        async with _servers(settings) as (redis, pool):
            previous: Sample | None = None
            while not stop.is_set():
                current = await run_until_stopped(read_sample(settings, redis, pool), stop)
                if current is not None:
                    view.show(frame(previous, current))
                    previous = current
                    await wait(stop, interval)


@asynccontextmanager
async def _servers(settings: Settings) -> AsyncIterator[tuple[Redis, Pool]]:
    redis = connect(settings)
    try:
        async with await open_pool(
            settings.database_dsn, size=1, application_name="analytics-top", read_only=True, lazy=True
        ) as pool:
            yield redis, pool
    finally:
        await redis.aclose()
