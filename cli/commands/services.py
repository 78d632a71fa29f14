"""The commands that run one service until SIGTERM or SIGINT."""

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
    """Consumer group of a worker: what it does."""

    STORE = STORE_GROUP
    LIVE = LIVE_GROUP


_GARBAGE_THRESHOLD: Final = 20_000
"""Objects that are alive more than at the last look, before the next."""

Serve = Callable[[Settings], Coroutine[Any, Any, None]]


def ingest() -> None:
    """Accept events over HTTP and append them to the stream."""
    from ingest.server import serve

    _run(serve)


def worker(
    group: Annotated[
        Group, typer.Option(help="`store` writes to Postgres, `live` publishes to subscribers.")
    ] = Group.STORE,
) -> None:
    """Read the stream and store or publish what it brings. Start as many as needed."""
    if group is Group.LIVE:
        from processors.live import serve
    else:
        from processors.worker import serve

    _run(serve)


def dashboard() -> None:
    """Answer questions over HTTP, from the aggregates."""
    from dashboard.server import serve

    _run(serve)


def maintenance() -> None:
    """Keep house: partitions, retention, stream trimming, the hourly summary. One leads, the others stand by."""
    from processors.maintenance import serve

    _run(serve)


def _run(serve: Serve) -> None:
    from telemetry import logging

    settings = load_settings()
    failpoints.arm(settings.failpoint)
    logging.configure(settings)
    # What is imported stays, and what a batch is made of has no cycles: looking for them would take a tenth of the time
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
