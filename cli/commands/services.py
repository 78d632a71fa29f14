"""`analytics ingest`, `worker`, `dashboard` and `maintenance`: run one service until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
import uvloop

from runtime import failpoints
from runtime.environment import load_settings
from runtime.settings import Settings
from stream.keys import LIVE_GROUP, STORE_GROUP


class Group(StrEnum):
    """Consumer group of a worker."""

    STORE = STORE_GROUP
    LIVE = LIVE_GROUP


_GARBAGE_THRESHOLD: Final = 20_000
"""Net new objects before the next garbage collection."""

Serve = Callable[[Settings], Coroutine[Any, Any, None]]


def ingest() -> None:
    """Run ingest: accept events over HTTP and append them to the stream."""
    from ingest.server import serve

    _run(serve)


def worker(
    group: Annotated[
        Group, typer.Option(help="`store` writes to Postgres, `live` publishes to subscribers.")
    ] = Group.STORE,
) -> None:
    """Run a worker: read the stream, and store or publish its events. Start as many as needed."""
    if group is Group.LIVE:
        from processors.live.worker import serve
    else:
        from processors.store.worker import serve

    _run(serve)


def dashboard() -> None:
    """Run the read service: answer questions over HTTP from the aggregates."""
    from dashboard.server import serve

    _run(serve)


def maintenance() -> None:
    """Run maintenance: partitions, retention, stream trimming, hourly summaries. One process leads, others stand by."""
    from processors.maintenance.process import serve

    _run(serve)


def _run(serve: Serve) -> None:
    from telemetry import logging

    settings = load_settings()
    failpoints.arm(settings.failpoint)
    logging.configure(settings)
    # imported objects stay alive, and batches contain no cycles: collecting them would take a tenth of the time
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
