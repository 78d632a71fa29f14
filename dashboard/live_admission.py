"""Who may follow live events, and which: decided before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from dashboard.audit_trail import note_asked
from dashboard.callers import Caller, Learner
from dashboard.live.places import Holder
from dashboard.live.session import Subscription
from dashboard.live.wanted import Wanted
from dashboard.parameters import LiveFilter
from dashboard.routes import identify
from dashboard.services import Services, services_of
from runtime.origins import authority_of
from storage.privacy.audit import EVERYBODY
from web.problems import Refusal

SUBPROTOCOL: Final = "analytics.v1"
_CREDENTIAL: Final = "bearer."
"""Begins the second subprotocol a browser offers, which cannot set headers; servers and proxies do not log it."""


def admit(services: Services, caller: Caller, asked: LiveFilter, address: str | None) -> Subscription:
    """Return what the caller gets, at this network address. Raises Refusal."""
    gate = services.gate
    learners = gate.learners(caller, asked.user_id)
    return Subscription(
        wanted=Wanted.of(asked.event_types, learners),
        after=None if asked.last_id is None else int(asked.last_id),
        is_still_good=lambda: gate.is_still_good(caller),
        holder=Holder(caller, address),
    )


def span_of(caller: Caller, asked: LiveFilter) -> dict[str, str]:
    """Return how much is asked for, for the audit log: events of everybody are too many to name whose they are."""
    everybody = asked.user_id is None and not isinstance(caller, Learner)
    return asked.span() | ({"about": EVERYBODY} if everybody else {})


def admit_socket(websocket: WebSocket) -> Subscription:
    """Return what a WebSocket is opened for. Raises Refusal or RequestValidationError."""
    services = services_of(websocket)
    offered: Sequence[str] = websocket.scope["subprotocols"]
    caller = identify(websocket, websocket.headers.get("Authorization") or _authorization(offered))
    _check_origin(websocket, services.cors_origins)
    try:
        asked = LiveFilter.model_validate(dict(websocket.query_params))
    except ValidationError as error:
        raise RequestValidationError(
            [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors(include_input=False)]
        ) from None
    note_asked(websocket, span_of(caller, asked))
    return admit(services, caller, asked, address_of(websocket))


def address_of(connection: HTTPConnection) -> str | None:
    """Return the client's network address, as trusted proxies tell it."""
    return connection.client.host if connection.client else None


def chosen_subprotocol(websocket: WebSocket) -> str | None:
    """Return the subprotocol to answer with: ours, if it was offered; never the one with the credential."""
    return SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None


def _authorization(offered: Sequence[str]) -> str | None:
    credentials = [name.removeprefix(_CREDENTIAL) for name in offered if name.startswith(_CREDENTIAL)]
    return f"Bearer {credentials[0]}" if credentials else None


def _check_origin(websocket: WebSocket, allowed: Sequence[str]) -> None:
    """Refuse pages of other origins: to WebSockets browsers do not apply CORS. What is no origin got no further."""
    origin = websocket.headers.get("Origin")
    if origin is None or origin in allowed:
        return
    host = authority_of(origin)
    if not host or host != websocket.headers.get("Host", "").strip().lower():
        raise Refusal(HTTPStatus.FORBIDDEN, "foreign_origin", "Pages of this origin may not open a WebSocket here.")
