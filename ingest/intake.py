"""What every route does with events: lets their sender in, decides what is stored, and appends it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from ingest.accept import Acceptance, AcceptancePolicy, Arrival, accept
from ingest.append_queue import AppendQueue
from ingest.backpressure import PressureGauge
from ingest.defects import comes_again, confined
from ingest.effort import TOO_COSTLY, Effort, Steps
from ingest.faults import Rejection
from ingest.rate_limit import RateLimiter
from ingest.work import WORK
from runtime.clock import utc_now
from runtime.errors import StreamUnavailable
from schemas.events import AnyEvent
from telemetry import events as telemetry
from web.credentials import AccessKeys, ApiKey
from web.failed_attempts import FailedAttempts
from web.problems import Refusal

RETRY_AFTER_FAILURE: Final = range(1, 6)
"""Seconds; Redis may be back at any moment."""

RETRY_UNDER_PRESSURE: Final = range(5, 16)
"""Seconds; workers have to store what waits."""

_EVENTS_A_TURN: Final = 256
_UNITS_OF_AN_EVENT: Final = 20


@dataclass(frozen=True)
class Intake:
    """Takes events from any route to the stream; one for all routes, so that their limits are shared."""

    keys: AccessKeys
    policy: AcceptancePolicy
    queue: AppendQueue
    gauge: PressureGauge
    limiter: RateLimiter = field(default_factory=RateLimiter)
    attempts: FailedAttempts = field(default_factory=FailedAttempts)
    turns: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the request whose work is long."""

    def admit(self, secret: str | None, address: str | None) -> ApiKey:
        """Return the key that was presented, None for none, when events are welcome. Raises Refusal.

        Ask before the body is read: a stranger costs next to nothing, and so does what cannot be taken now.
        """
        key = self._authenticate(secret, address)
        if self.gauge.pressure is not None:
            raise _not_now(self.gauge.pressure, RETRY_UNDER_PRESSURE)
        if self.policy.names.is_undecided:
            raise _not_now("erasures_unknown", RETRY_AFTER_FAILURE)
        if self.queue.is_full:
            raise _not_now("queue_full", RETRY_AFTER_FAILURE)
        return key

    def accept_one(self, parsed: AnyEvent | Rejection, key: ApiKey) -> Acceptance | Rejection:
        """Return an event as it is stored, or why it is not. Raises Refusal beyond the key's limit.

        The event is DEFECT when it meets a fault of this service. One event is little work, whatever its texts.
        """
        self.limiter.charge(key, 1)
        if isinstance(parsed, Rejection):
            return parsed
        return confined(accept, parsed, self.policy, key.source, Arrival.at(utc_now(), self.policy))

    def effort(self, body: bytes) -> Effort:
        """Return the effort of a request with that body, for as long as its events are judged."""
        return Effort(self.turns, len(body))

    def accept_steps(
        self, parsed: Sequence[AnyEvent | Rejection], key: ApiKey, effort: Effort
    ) -> Steps[list[Acceptance | Rejection]]:
        """Return each event of a request as it is stored, or why it is not. Raises Refusal beyond the key's limit.

        An event that meets a fault of this service is DEFECT, one that is left when the effort is over TOO_COSTLY.
        """
        self.limiter.charge(key, len(parsed))
        arrival = Arrival.at(utc_now(), self.policy)
        judged: list[Acceptance | Rejection] = []
        for start in range(0, len(parsed), _EVENTS_A_TURN):
            part, is_over, due = parsed[start : start + _EVENTS_A_TURN], effort.is_over, effort.due
            for one in part:
                if WORK.units >= due:
                    yield
                    is_over, due = effort.is_over, effort.due
                if isinstance(one, Rejection):
                    judged.append(one)
                elif is_over:
                    judged.append(TOO_COSTLY)
                else:
                    try:
                        judged.append(accept(one, self.policy, key.source, arrival))
                    # to confine each costs the good ones; only one that met a fault is judged again
                    except Exception:  # noqa: BLE001 - comes again here, where it is confined
                        judged.append(confined(accept, one, self.policy, key.source, arrival))
            WORK.units += len(part) * _UNITS_OF_AN_EVENT
        return judged

    async def append(self, judged: Sequence[Acceptance | Rejection], ignored: int = 0) -> int:
        """Append what was accepted; return how many that are. Raises Refusal: then the sender must repeat them.

        `ignored`: how many of the others were no events, so that they do not count as rejected.
        """
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
                event_ids=[one.event.event_id if isinstance(one, Acceptance) else None for one in judged],
            ) from error
        confined(_count, judged, len(events), ignored)
        return len(events)

    def _authenticate(self, secret: str | None, address: str | None) -> ApiKey:
        if secret is None:
            raise _no_good_key()
        key = self.keys.verify(secret, utc_now())
        if key is None:
            if self.keys.is_undecided(secret):
                raise _not_now("keys_unavailable", RETRY_AFTER_FAILURE)
            refusal = self.attempts.count_failure(address, _no_good_key())
            telemetry.authentication_failed(refusal.code)
            raise refusal
        if "events:write" not in key.scopes:
            raise Refusal(HTTPStatus.FORBIDDEN, "missing_scope", "This key lacks the scope events:write.")
        return key


def _count(judged: Sequence[Acceptance | Rejection], accepted: int, ignored: int) -> None:
    retry = sum(map(comes_again, judged)) if accepted < len(judged) else 0
    telemetry.events_judged(accepted, len(judged) - accepted - ignored - retry, retry)
    _count_texts(judged)


def _count_texts(judged: Sequence[Acceptance | Rejection]) -> None:
    refused = 0
    edits: list[str] = []
    for one in judged:
        if isinstance(one, Acceptance):
            if one.edits:
                edits.extend(edit.code for edit in one.edits)
        elif one.code == "personal_data":
            refused += 1
    if refused or edits:
        telemetry.texts_judged(rejected=refused, edited=Counter(edits))


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
