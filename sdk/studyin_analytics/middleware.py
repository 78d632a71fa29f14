"""ASGI middleware. Tracks an `api_request` per request, and an `api_error` when the application raises."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, get_args

from .client import Client
from .event_form import Id
from .hooks import LOGGER
from .route_template import template_of
from .schemas.catalogue import EventType
from .schemas.catalogue.property_types import Method
from .trackers import AnalyticsTracker, SyncAnalyticsTracker

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SERVER_ERROR: Final = 500
CLIENT_LEFT: Final = 499
"""Status for a client that disconnected before the response."""

_METHODS: Final = frozenset(get_args(Method))


class AnalyticsMiddleware:
    """Wraps an application of Starlette, FastAPI or another ASGI framework. Does not delay requests.

    `user_id_of` takes the scope after the request and returns the user id, or None. Requests with a path in `excluded`
    or a method that HTTP does not define are not tracked.
    """

    def __init__(
        self,
        app: App,
        tracker: AnalyticsTracker | SyncAnalyticsTracker,
        *,
        user_id_of: Callable[[Scope], Id | None] | None = None,
        excluded: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._client: Client = tracker.client
        self._user_id_of = user_id_of
        self._excluded = frozenset(excluded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, then track it. Raises what the application raises."""
        if scope["type"] != "http" or scope["path"] in self._excluded or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        # saved first, because mounts change it in the scope
        root_path = scope.get("root_path", "")
        status: int | None = None
        error_type: str | None = None
        since = time.perf_counter()

        async def recording_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, recording_send)
        except Exception as error:
            error_type = type(error).__name__
            status = status or SERVER_ERROR
            raise
        finally:
            self._track(scope, root_path, status or CLIENT_LEFT, error_type, (time.perf_counter() - since) * 1000)

    def _track(self, scope: Scope, root_path: str, status: int, error_type: str | None, duration_ms: float) -> None:
        facts = {
            "endpoint": template_of(scope, root_path),
            "method": scope["method"],
            "status_code": status,
        }
        user_id = self._learner(scope)
        self._client.track(EventType.API_REQUEST, user_id=user_id, properties={**facts, "duration_ms": duration_ms})
        if error_type is not None:
            self._client.track(EventType.API_ERROR, user_id=user_id, properties={**facts, "error_type": error_type})

    def _learner(self, scope: Scope) -> Id | None:
        if self._user_id_of is None:
            return None
        try:
            return self._user_id_of(scope)
        except Exception as failure:  # noqa: BLE001 - must not fail the request; its text may have personal data
            LOGGER.warning("user_id_of raised %s", type(failure).__name__)
            return None
