"""The commands that run one service until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from runtime import failpoints
from runtime.settings import Settings, load_settings

Serve = Callable[[Settings], Coroutine[Any, Any, None]]


def ingest() -> None:
    """Accept events over HTTP and append them to the stream."""
    from ingest.server import serve

    _run(serve)


def worker() -> None:
    """Store events: read the stream, write batches to Postgres, acknowledge. Start as many as needed."""
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
