"""Common to all routes: authenticates the sender, decides how events are stored, and appends them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from ingest.acceptance.accept import Acceptance, AcceptancePolicy, Arrival, Outcome, accept
from ingest.append_queue import AppendQueue
from ingest.backpressure import PressureGauge
from ingest.effort import Effort, Steps
from ingest.rate_limit import RateLimiter
from ingest.rejection import TOO_COSTLY, Rejection, is_retryable, isolate_defect
from ingest.work import WORK
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from schemas.events import AnyEvent
from telemetry import internal_events as telemetry
from telemetry.labels import AuthenticationFailure, BackpressureReason
from web.credentials import AccessKeys, ApiKey
from web.failed_attempts import FailedAttempts
from web.problems import Refusal

RETRY_AFTER_FAILURE: Final = range(1, 6)
"""Range of Retry-After in seconds after a failed append: Redis may answer again at any moment."""

RETRY_UNDER_PRESSURE: Final = range(5, 16)
"""Range of Retry-After in seconds under backpressure: workers need time to store the backlog."""

_APPEND_REFUSALS: Final = {one.value: one for one in (BackpressureReason.QUEUE_FULL, BackpressureReason.NOT_DURABLE)}
"""Append failures that have their own reason in the metric."""

_EVENTS_A_TURN: Final = 256
_UNITS_OF_AN_EVENT: Final = 8


@dataclass(frozen=True)
class Intake:
    """Takes events from all routes to the stream. The routes share one Intake and so its limits."""

    keys: AccessKeys
    policy: AcceptancePolicy
    queue: AppendQueue
    gauge: PressureGauge
    limiter: RateLimiter = field(default_factory=RateLimiter)
    attempts: FailedAttempts = field(default_factory=FailedAttempts)
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by one request at a time while it does much work."""

    def admit(self, secret: str | None, address: str | None) -> ApiKey:
        """Return the presented API key. Raises Refusal if it is not valid or events cannot be accepted now.

        Call it before the body is read, so that a refused request costs almost nothing.
        """
        key = self._authenticate(secret, address)
        if self.gauge.pressure is not None:
            raise _unavailable(self.gauge.pressure, RETRY_UNDER_PRESSURE)
        if self.policy.pseudonyms.is_undecided:
            raise _unavailable(BackpressureReason.ERASURES_UNKNOWN, RETRY_AFTER_FAILURE)
        if self.queue.is_full:
            raise _unavailable(BackpressureReason.QUEUE_FULL, RETRY_AFTER_FAILURE)
        return key

    def accept_one(self, parsed: AnyEvent | Rejection, key: ApiKey) -> Outcome:
        """Return the outcome of the only event of a request. Raises Refusal beyond the rate limit of the key.

        Counts no effort: the work on one event is bounded.
        """
        self.limiter.charge(key, 1)
        if isinstance(parsed, Rejection):
            return parsed
        return isolate_defect(accept, parsed, self.policy, key.source, Arrival.at(utc_now(), self.policy))

    def effort(self, body: bytes) -> Effort:
        """Return a counter of the work on a request with this body."""
        return Effort(self.turns, len(body))

    def accept_all(self, parsed: Sequence[AnyEvent | Rejection], key: ApiKey, effort: Effort) -> Steps[list[Outcome]]:
        """Return the outcome of each event of a request. Raises Refusal beyond the rate limit of the key.

        An event on which this service fails becomes DEFECT. Events left when the budget is used up become TOO_COSTLY.
        """
        self.limiter.charge(key, len(parsed))
        arrival = Arrival.at(utc_now(), self.policy)
        outcomes: list[Outcome] = []
        for start in range(0, len(parsed), _EVENTS_A_TURN):
            part, is_over, due = parsed[start : start + _EVENTS_A_TURN], effort.is_over, effort.due
            for one in part:
                if WORK.units >= due:
                    yield
                    is_over, due = effort.is_over, effort.due
                if isinstance(one, Rejection):
                    outcomes.append(one)
                elif is_over:
                    outcomes.append(TOO_COSTLY)
                else:
                    try:
                        outcomes.append(accept(one, self.policy, key.source, arrival))
                    # isolation costs time: only an event that raised is accepted again within it
                    except Exception:  # noqa: BLE001 - raised again within isolation
                        outcomes.append(isolate_defect(accept, one, self.policy, key.source, arrival))
            WORK.units += len(part) * _UNITS_OF_AN_EVENT
        return outcomes

    async def append(self, outcomes: Sequence[Outcome], ignored: int = 0) -> int:
        """Append the accepted events and return their number. Raises Refusal: the sender must then send them again.

        `ignored` is the number of outcomes that are not about events. They do not count as rejected.
        """
        events = [one.event for one in outcomes if isinstance(one, Acceptance)]
        try:
            if events:
                await self.queue.append(events)
        except StreamUnavailable as error:
            telemetry.ingest_refused(_APPEND_REFUSALS.get(error.reason, BackpressureReason.STREAM_UNAVAILABLE))
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                error.reason,
                "The events may not have been stored: send them again with the same event_ids.",
                headers=_retry_after(RETRY_AFTER_FAILURE),
                event_ids=[one.event.event_id if isinstance(one, Acceptance) else None for one in outcomes],
            ) from error
        isolate_defect(_count, outcomes, len(events), ignored)
        return len(events)

    def _authenticate(self, secret: str | None, address: str | None) -> ApiKey:
        if secret is None:
            raise _invalid_key()
        key = self.keys.verify(secret, utc_now())
        if key is None:
            if self.keys.is_undecided(secret):
                raise _unavailable(BackpressureReason.KEYS_UNAVAILABLE, RETRY_AFTER_FAILURE)
            refusal = self.attempts.count_failure(address, _invalid_key())
            telemetry.authentication_failed(AuthenticationFailure(refusal.code))
            raise refusal
        if "events:write" not in key.scopes:
            raise Refusal(HTTPStatus.FORBIDDEN, "missing_scope", "This key lacks the scope events:write.")
        return key


def _count(outcomes: Sequence[Outcome], accepted: int, ignored: int) -> None:
    retry = sum(map(is_retryable, outcomes)) if accepted < len(outcomes) else 0
    telemetry.request_processed(accepted, len(outcomes) - accepted - ignored - retry, retry)
    _count_texts(outcomes)


def _count_texts(outcomes: Sequence[Outcome]) -> None:
    refused = 0
    edits: list[str] = []
    for one in outcomes:
        if isinstance(one, Acceptance):
            if one.edits:
                edits.extend(edit.code for edit in one.edits)
        elif one.code == "personal_data":
            refused += 1
    if refused or edits:
        telemetry.texts_inspected(rejected=refused, edited=Counter(edits))


def _invalid_key() -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "invalid_key",
        "Send a valid API key as Authorization: Bearer or X-API-Key.",
        headers={"www-authenticate": 'Bearer realm="analytics"'},
    )


def _unavailable(code: BackpressureReason, seconds: range) -> Refusal:
    telemetry.ingest_refused(code)
    detail = "Nothing of this request was stored: send it again later."
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers=_retry_after(seconds))


def _retry_after(seconds: range) -> dict[str, str]:
    # random, so that senders do not all retry at once
    return {"retry-after": str(random.choice(seconds))}
