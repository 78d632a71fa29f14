"""Serves an application with the real HTTP server, on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cli.local.embedded import ports
from dashboard.questions.live import SOCKET_PATH
from runtime.lifecycle import Shutdown
from tests.support.waiting import eventually
from web.server.http_server import serve_http
from web.server.listener import Listener


@asynccontextmanager
async def served(
    app: Any, *, live: asyncio.Event | None = None, shutdown: Shutdown | None = None, **options: Any
) -> AsyncIterator[str]:
    """Serve an application for the block. Yields its address without the scheme.

    With `live` it also serves the WebSocket of live events, and stops when that is set. `shutdown` drains and stops it.
    """
    shutdown = shutdown or Shutdown(0)
    stop, port = live or shutdown.stop, ports.any_free()
    listener = Listener(ports.LOOPBACK, port, **options)
    listener.check()
    path = SOCKET_PATH if live else None
    serving = asyncio.create_task(serve_http(app, listener, stop, drain=shutdown.drain, websocket_path=path))

    async def accepts() -> bool:
        try:
            _, writer = await asyncio.open_connection(ports.LOOPBACK, port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    await eventually(accepts)
    try:
        yield f"{ports.LOOPBACK}:{port}"
    finally:
        stop.set()
        await serving
