"""Live events over WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.audit_trail import put_on_record, refusals_on_record
from dashboard.live.session import End, Session
from dashboard.live.tally import Tally
from dashboard.live_admission import admit_socket, chosen_subprotocol
from dashboard.services import services_of
from schemas.live import CREDENTIALS_ENDED

_SERVICE_RESTART: Final = 1012
_CODES: Final = {End.CREDENTIALS_ENDED: CREDENTIALS_ENDED, End.RESTART: _SERVICE_RESTART}


async def answer_socket(websocket: WebSocket, action: str) -> None:
    """Put a WebSocket on record as `action`, then send it events until either side ends it. Raises what refuses it."""
    services = services_of(websocket)
    async with contextlib.AsyncExitStack() as stack:
        async with refusals_on_record(websocket, action):
            subscription = admit_socket(websocket)
            release = stack.enter_context(services.live_places.taken("websocket", subscription.holder))
            await stack.enter_async_context(services.live.joined())
        await put_on_record(websocket, action, HTTPStatus.OK)
        await websocket.accept(chosen_subprotocol(websocket))
        session = Session(services.live, subscription)
        with contextlib.suppress(WebSocketDisconnect):
            async with _watched(websocket, session, release):
                await _deliver(websocket, session, services.live.tally)


async def _deliver(websocket: WebSocket, session: Session, tally: Tally) -> None:
    async with contextlib.aclosing(session.frames()) as frames:
        async for frame in frames:
            await websocket.send({"type": "websocket.send", "text": frame.text})
            tally.sent("websocket", len(frame.messages))
    if session.end in _CODES:
        await websocket.close(_CODES[session.end])


@contextlib.asynccontextmanager
async def _watched(websocket: WebSocket, session: Session, release: Callable[[], None]) -> AsyncIterator[None]:
    """Read and throw away what the client says while the block runs; release its place once it leaves."""

    async def read() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        session.leave()
        release()

    reading = asyncio.create_task(read(), name="live-socket-reader")
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.wait([reading])
