"""Live events over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.audit import audit_refusals, record_audit
from dashboard.live.session import End, Session
from dashboard.live.tally import Tally
from dashboard.questions.endpoint import identify, parse_parameters, refuse_malformed
from dashboard.questions.live import SOCKET_PATH, span_of, subscribe
from dashboard.questions.parameters import LiveQuery
from dashboard.questions.question import Inquiry, Question
from dashboard.services import Services
from runtime.setting_values.origins import authority_of
from schemas.live import CREDENTIALS_ENDED
from web.problems import Refusal
from web.routing import address_of

SUBPROTOCOL: Final = "analytics.v1"
_CREDENTIAL: Final = "bearer."
"""Prefix of the subprotocol with a credential: browsers cannot set headers. Servers and proxies do not log it."""

_ACTION: Final = f"GET {SOCKET_PATH}"
_SERVICE_RESTART: Final = 1012
_CODES: Final = {End.CREDENTIALS_ENDED: CREDENTIALS_ENDED, End.RESTART: _SERVICE_RESTART}


async def serve_live_socket(question: Question[LiveQuery], services: Services, websocket: WebSocket) -> None:
    """Send events until either side ends. The handshake is in the audit log first. Raises Refusal before it accepts.

    `question`: the same events as a stream; the WebSocket has its parameters.
    """
    offered: Sequence[str] = websocket.scope["subprotocols"]
    authorization = websocket.headers.get("authorization") or _offered_credential(offered)
    caller = identify(services, websocket, authorization)
    async with contextlib.AsyncExitStack() as stack:
        async with audit_refusals(services, websocket, caller, _ACTION):
            refuse_malformed(websocket)
            _refuse_foreign_origin(websocket, services.cors_origins)
            query = parse_parameters(question, websocket)
            question.authorize(caller)
            subscription = subscribe(Inquiry(services, caller, query, address_of(websocket)))
            release = stack.enter_context(services.subscriber_limits.taken("websocket", subscription.holder))
            await stack.enter_async_context(services.live.joined())
        await record_audit(services, websocket, caller, _ACTION, HTTPStatus.OK, span_of(caller, query))
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
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
    """Discard the messages of the client during the block. End the session when the client leaves."""

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


def _offered_credential(offered: Sequence[str]) -> str | None:
    credentials = [name.removeprefix(_CREDENTIAL) for name in offered if name.startswith(_CREDENTIAL)]
    return f"Bearer {credentials[0]}" if credentials else None


def _refuse_foreign_origin(websocket: WebSocket, allowed: Sequence[str]) -> None:
    """Raise Refusal (403) for pages of other origins: browsers do not apply CORS to WebSockets."""
    origin = websocket.headers.get("origin")
    if origin is None or origin in allowed:
        return
    host = authority_of(origin)
    if not host or host != websocket.headers.get("host", "").strip().lower():
        raise Refusal(HTTPStatus.FORBIDDEN, "foreign_origin", "Pages of this origin may not open a WebSocket here.")
