"""Live events over Server-Sent Events, and the subscriptions that a caller may have."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp

from dashboard.access.authenticator import Caller, Learner
from dashboard.live.event_filter import EventFilter
from dashboard.live.event_stream import LiveEventStream
from dashboard.live.session import Subscription
from dashboard.live.subscriber_limits import Holder
from dashboard.questions.parameters import LiveQuery
from dashboard.questions.question import Answer, Inquiry
from storage.privacy.audit import EVERYBODY
from web.problems import Refusal

SOCKET_PATH: Final = "/api/analytics/live"
SOCKET_STATUSES: Final = ("101", "401", "403", "422", "426", "429", "500", "503")
"""Statuses of a WebSocket handshake."""

STREAM_PATH: Final = f"{SOCKET_PATH}/sse"


async def live_events(inquiry: Inquiry[LiveQuery]) -> Answer:
    """Live events, as Server-Sent Events."""
    services = inquiry.services
    subscription = subscribe(inquiry)
    services.subscriber_limits.check(subscription.holder)
    stream = LiveEventStream(services.live, services.subscriber_limits, subscription)
    return Answer(stream, span_of(inquiry.caller, inquiry.parameters))


def subscribe(inquiry: Inquiry[LiveQuery]) -> Subscription:
    """Return the subscription of the caller. Raises Refusal."""
    authenticator, caller, query = inquiry.services.authenticator, inquiry.caller, inquiry.parameters
    learners = authenticator.followed_learners(caller, query.user_id)
    return Subscription(
        wanted=EventFilter.of(query.event_types, learners),
        after=query.last_id,
        is_still_good=lambda: authenticator.is_still_good(caller),
        holder=Holder(caller, inquiry.address),
    )


def span_of(caller: Caller, query: LiveQuery) -> dict[str, str]:
    """Return the extent of a subscription, for the audit log. A stream of all learners does not list them."""
    everybody = query.user_id is None and not isinstance(caller, Learner)
    return query.span() | ({"about": EVERYBODY} if everybody else {})


async def require_upgrade(_request: Request) -> ASGIApp:
    """Refuse a plain HTTP request for the WebSocket. Raises Refusal (426)."""
    raise Refusal(
        HTTPStatus.UPGRADE_REQUIRED,
        "upgrade_required",
        f"Open a WebSocket here, or request {STREAM_PATH} for Server-Sent Events.",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )
