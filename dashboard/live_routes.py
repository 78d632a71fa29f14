"""Events as they happen: the same over WebSocket and Server-Sent Events."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response, WebSocket

from dashboard.audit_trail import AuditedRoute, note_asked
from dashboard.live_admission import address_of, admit, span_of
from dashboard.live_socket import answer_socket
from dashboard.live_sse import MEDIA_TYPE, LiveEventStream
from dashboard.parameters import LiveFilter, MessageId
from dashboard.problems import described
from dashboard.routes import SECURITY, AnyCaller, SomeServices
from web.problems import Refusal

SOCKET_PATH: Final = "/api/analytics/live"

_EVENT: Final = {
    "type": "object",
    "description": "Each event of the stream; `data` is JSON.",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]{1,16}$"},
        "event": {"type": "string"},
        "data": {"type": "string"},
        "retry": {"type": "integer"},
    },
}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events until the client leaves: `welcome`, each live event under the name of its type,"
        " `heartbeat`, `behind`, `resync_required`, `expired`.",
        "content": {MEDIA_TYPE: {"schema": _EVENT}},
    }
}

router = APIRouter(responses=described(), route_class=AuditedRoute)


@router.websocket(SOCKET_PATH)
async def live_socket(websocket: WebSocket) -> None:
    """Live events over WebSocket."""
    await answer_socket(websocket, f"GET {SOCKET_PATH}")


@router.get(SOCKET_PATH, include_in_schema=False)
async def live_without_upgrade() -> Response:
    """Tell whoever asks for the WebSocket in plain HTTP."""
    raise Refusal(
        HTTPStatus.UPGRADE_REQUIRED,
        "upgrade_required",
        f"Open a WebSocket here, or ask {SOCKET_PATH}/sse for Server-Sent Events.",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


@router.get(
    f"{SOCKET_PATH}/sse",
    dependencies=SECURITY,
    tags=["live"],
    operation_id="live_events",
    response_class=Response,
    responses=_STREAM,
)
async def live_events(
    request: Request,
    caller: AnyCaller,
    services: SomeServices,
    asked: Annotated[LiveFilter, Query()],
    last_event_id: Annotated[
        MessageId | None, Header(alias="Last-Event-ID", description="As `last_id`, and wins over it.")
    ] = None,
) -> Response:
    """Live events, as Server-Sent Events."""
    if last_event_id is not None:
        asked = asked.model_copy(update={"last_id": last_event_id})
    note_asked(request, span_of(caller, asked))
    subscription = admit(services, caller, asked, address_of(request))
    services.live_places.check(subscription.holder)
    return LiveEventStream(services, subscription)
