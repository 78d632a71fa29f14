"""The two ways in: one event, or a batch."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.types import Receive

from ingest.accept import Acceptance, AcceptancePolicy, accept
from ingest.append_queue import AppendQueue
from ingest.backpressure import PressureGauge
from ingest.body import read_body
from ingest.faults import Rejection
from ingest.parse import parse_batch, parse_event
from ingest.rate_limit import RateLimiter
from runtime.access import AccessKeys, ApiKey, presented_key
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from runtime.failed_attempts import FailedAttempts
from runtime.refusal import Refusal
from schemas.events import AnyEvent
from schemas.problem import ProblemError
from telemetry import events as telemetry

TRACK: Final = "/api/analytics/events/track"
BATCH: Final = "/api/analytics/events/batch"

RETRY_AFTER_FAILURE: Final = range(1, 6)
"""Seconds; Redis may be back at any moment."""

RETRY_UNDER_PRESSURE: Final = range(5, 16)
"""Seconds; workers have to store what waits."""


@dataclass(frozen=True)
class Reply:
    """An answer; its body is JSON unless a header says otherwise."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EventRoutes:
    """Takes events from the network to the stream."""

    keys: AccessKeys
    policy: AcceptancePolicy
    queue: AppendQueue
    gauge: PressureGauge
    limiter: RateLimiter = field(default_factory=RateLimiter)
    attempts: FailedAttempts = field(default_factory=FailedAttempts)

    async def track(self, headers: Mapping[str, str], address: str | None, receive: Receive) -> Reply:
        """Accept one event. Raises Refusal: 422 names what is wrong with it."""
        key = self._admit(headers, address)
        [judged] = self._accept_all([parse_event(await read_body(headers, receive))], key)
        await self._append([judged])
        if isinstance(judged, Rejection):
            fault = ProblemError(code=judged.code, pointer=judged.pointer, detail=judged.detail)
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, judged.code, judged.detail, errors=[fault])
        body = {"event_id": str(judged.event.event_id), "status": "accepted"} | _edits(judged)
        return Reply(HTTPStatus.ACCEPTED, json.dumps(body, separators=(",", ":")).encode())

    async def batch(self, headers: Mapping[str, str], address: str | None, receive: Receive) -> Reply:
        """Accept what is good of a batch and say what is not: 202 when all was, else 207. Raises Refusal."""
        key = self._admit(headers, address)
        judged = self._accept_all(parse_batch(await read_body(headers, receive)), key)
        accepted = await self._append(judged)
        body = {
            "received": len(judged),
            "accepted": accepted,
            "rejected": len(judged) - accepted,
            "results": [_verdict(index, one) for index, one in enumerate(judged)],
        }
        status = HTTPStatus.ACCEPTED if accepted == len(judged) else HTTPStatus.MULTI_STATUS
        return Reply(status, json.dumps(body, separators=(",", ":")).encode())

    def _admit(self, headers: Mapping[str, str], address: str | None) -> ApiKey:
        # Before the body is read: a stranger costs next to nothing, and so does what cannot be taken now.
        key = self._authenticate(headers, address)
        if self.gauge.pressure is not None:
            raise _not_now(self.gauge.pressure, RETRY_UNDER_PRESSURE)
        if self.policy.names.is_undecided:
            raise _not_now("erasures_unknown", RETRY_AFTER_FAILURE)
        if self.queue.is_full:
            raise _not_now("queue_full", RETRY_AFTER_FAILURE)
        return key

    def _authenticate(self, headers: Mapping[str, str], address: str | None) -> ApiKey:
        secret = presented_key(headers.get("authorization"), headers.get("x-api-key"))
        if secret is None:
            raise _no_good_key()
        key = self.keys.verify(secret, utc_now())
        if key is None:
            if self.keys.is_undecided(secret):
                raise _not_now("keys_unavailable", RETRY_AFTER_FAILURE)
            refusal = self.attempts.judge(address, _no_good_key())
            telemetry.authentication_failed(refusal.code)
            raise refusal
        if "events:write" not in key.scopes:
            raise Refusal(HTTPStatus.FORBIDDEN, "missing_scope", "This key lacks the scope events:write.")
        return key

    def _accept_all(self, parsed: Sequence[AnyEvent | Rejection], key: ApiKey) -> list[Acceptance | Rejection]:
        self.limiter.charge(key, len(parsed))
        now = utc_now()
        return [one if isinstance(one, Rejection) else accept(one, self.policy, key.source, now) for one in parsed]

    async def _append(self, judged: Sequence[Acceptance | Rejection]) -> int:
        """Append what was accepted; return how many that are."""
        events = [one.event for one in judged if isinstance(one, Acceptance)]
        try:
            if events:
                await self.queue.append(events)
        except StreamUnavailable as error:
            own = error.reason in ("queue_full", "not_durable")
            telemetry.ingest_refused(error.reason if own else "stream_unavailable")
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                error.reason,
                "The events may not have been stored: send them again with the same event_ids.",
                headers=_come_back_in(RETRY_AFTER_FAILURE),
                event_ids=[str(one.event.event_id) if isinstance(one, Acceptance) else None for one in judged],
            ) from error
        telemetry.events_judged(Counter(event.event_type for event in events), len(judged) - len(events))
        telemetry.texts_judged(
            rejected=sum(isinstance(one, Rejection) and one.code == "personal_data" for one in judged),
            edited=Counter(edit.code for one in judged if isinstance(one, Acceptance) for edit in one.edits),
        )
        return len(events)


def _no_good_key() -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "invalid_key",
        "Send a valid API key as Authorization: Bearer or X-API-Key.",
        headers={"www-authenticate": 'Bearer realm="analytics"'},
    )


def _not_now(code: str, seconds: range) -> Refusal:
    telemetry.ingest_refused(code)
    detail = "Nothing of this request was stored: send it again later."
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers=_come_back_in(seconds))


def _come_back_in(seconds: range) -> dict[str, str]:
    # Spread, so that senders do not all come back at once.
    return {"retry-after": str(random.choice(seconds))}


def _verdict(index: int, judged: Acceptance | Rejection) -> dict[str, Any]:
    if isinstance(judged, Rejection):
        facts = {"code": judged.code, "pointer": judged.pointer, "detail": judged.detail}
        return {"index": index, "status": "rejected", **facts}
    return {"index": index, "event_id": str(judged.event.event_id), "status": "accepted"} | _edits(judged)


def _edits(accepted: Acceptance) -> dict[str, Any]:
    return {"edits": [edit._asdict() for edit in accepted.edits]} if accepted.edits else {}
