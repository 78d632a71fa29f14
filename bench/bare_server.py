"""Floor for an HTTP service: uvicorn as ingest runs it, accepting any body with 202."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import uvloop
from starlette.types import Receive, Scope, Send

from runtime.embedded.ports import LOOPBACK
from runtime.lifecycle import stop_on_signals
from web.server.http_server import serve_http
from web.server.listener import Listener

_BODY: Final = b'{"accepted":1}'
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer 202; answer 200 to a readiness check."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    status = 202 if scope["method"] == "POST" else 200
    await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


async def _serve(port: int) -> None:
    with stop_on_signals() as stop:
        await serve_http(answer, Listener(LOOPBACK, port), stop)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
