"""Segment's tracking API, for its official clients: `track` is stored, other calls are answered and ignored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Any, Final

from starlette.requests import Request as HttpRequest

from ingest.acceptance.accept import Acceptance, Outcome
from ingest.body import read_body
from ingest.effort import Effort, Steps
from ingest.intake import Intake
from ingest.parsing.batch import validate_event
from ingest.rejection import DEFECT, TOO_COSTLY, Rejection, defect_refusal, isolate_defect
from ingest.segment.credentials import write_key
from ingest.segment.mapping import EventMapping
from ingest.segment.messages import TRACK, UNSUPPORTED, Request, read_batch, read_call
from ingest.segment.timestamps import clock_ahead
from ingest.segment.translate import Translation, translate
from ingest.segment.unmapped import UnmappedNames, is_harmless
from ingest.verdict import verdict
from runtime.clock import utc_now
from schemas.events import AnyEvent
from telemetry import internal_events as telemetry
from telemetry.labels import SegmentOutcome
from web.credentials import ApiKey, presented_key
from web.problems import Refusal
from web.reply import Reply
from web.routing import Route, address_of, headers_of

BATCH: Final = "/v1/batch"
CALLS: Final = {call: f"/v1/{call}" for call in (TRACK, *UNSUPPORTED)}
ALIASES: Final = {f"/v1/{call[0]}": path for call, path in {"batch": BATCH, **CALLS}.items()} | {"/v1/import": BATCH}
"""The path of each alias that some clients use."""

_OUTCOMES: Final = {
    "unsupported_call": SegmentOutcome.IGNORED,
    "unknown_event": SegmentOutcome.UNKNOWN_EVENT,
    DEFECT.code: SegmentOutcome.RETRY,
    TOO_COSTLY.code: SegmentOutcome.RETRY,
}
"""Outcome by rejection code; any other code is `rejected`."""


@dataclass(frozen=True)
class SegmentRoutes:
    """Accepts messages over HTTP and appends their events to the stream."""

    intake: Intake
    mapping: EventMapping
    unmapped: UnmappedNames

    @property
    def routes(self) -> list[Route]:
        """Return the route table."""
        endpoints = {BATCH: self.batch} | {path: partial(self.call, call) for call, path in CALLS.items()}
        return [Route(path, ("POST",), endpoint, aliases_of(path)) for path, endpoint in endpoints.items()]

    async def batch(self, request: HttpRequest) -> Reply:
        """Accept the calls of a batch. Raises Refusal."""
        headers = headers_of(request)
        key = self._admit(headers, address_of(request))
        body = await read_body(headers, request.receive)
        return await self._take(body, read_batch(body), key)

    async def call(self, call: str, request: HttpRequest) -> Reply:
        """Accept one call. Raises Refusal."""
        headers = headers_of(request)
        key = self._admit(headers, address_of(request))
        body = await read_body(headers, request.receive)
        return await self._take(body, read_call(body, call), key)

    def _admit(self, headers: Mapping[str, str], address: str | None) -> ApiKey:
        authorization = headers.get("authorization")
        secret = presented_key(authorization, headers.get("x-api-key")) or write_key(authorization)
        return self.intake.admit(secret, address)

    async def _take(self, body: bytes, reading: Steps[Request], key: ApiKey) -> Reply:
        async with self.intake.effort(body) as effort:
            request = await effort.run(reading)
            translated, parsed = await effort.run(self._parse(request, effort))
            accepted_ones = await effort.run(self.intake.accept_all(parsed, key, effort))
        outcomes = [
            one if isinstance(translation, Rejection) else translation.with_message_pointers(one)
            for translation, one in zip(translated, accepted_ones, strict=True)
        ]
        counts = Counter(map(_classify, outcomes))
        accepted = await self.intake.append(outcomes, ignored=counts[SegmentOutcome.IGNORED])
        telemetry.segment_calls_answered(counts)
        async with self.intake.effort(b"") as effort:
            await effort.run(self._count_unmapped(request.messages, outcomes, effort))
        if any(one.code == TOO_COSTLY.code for one in outcomes if isinstance(one, Rejection)):
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, TOO_COSTLY.code, TOO_COSTLY.detail, headers={"retry-after": "1"}
            )
        if counts[SegmentOutcome.RETRY]:
            # these clients read only the status; events that are stored already count once when they are sent again
            raise defect_refusal()
        results = [_verdict(*one) for one in zip(count(), request.messages, translated, outcomes, strict=False)]
        answer = {
            "success": True,
            "received": len(outcomes),
            "accepted": accepted,
            "rejected": len(outcomes) - accepted - counts[SegmentOutcome.IGNORED],
            "ignored": counts[SegmentOutcome.IGNORED],
            "results": results,
        }
        return Reply(HTTPStatus.OK, json.dumps(answer, separators=(",", ":")).encode())

    def _parse(
        self, request: Request, effort: Effort
    ) -> Steps[tuple[list[Translation | Rejection], list[AnyEvent | Rejection]]]:
        now = utc_now()
        ahead = clock_ahead(request.sent_at, now)
        translated: list[Translation | Rejection] = []
        parsed: list[AnyEvent | Rejection] = []
        for message in request.messages:
            one = TOO_COSTLY if effort.is_half_over else isolate_defect(translate, message, self.mapping, now, ahead)
            translated.append(one)
            parsed.append(one if isinstance(one, Rejection) else isolate_defect(validate_event, one.event))
            yield
        return translated, parsed

    def _count_unmapped(self, messages: Sequence[Any], outcomes: Sequence[Outcome], effort: Effort) -> Steps[None]:
        for message, one in zip(messages, outcomes, strict=True):
            if effort.is_over:
                # counting a name is not worth more work
                break
            isolate_defect(self._count, message, _classify(one))
            yield

    def _count(self, message: Any, outcome: str) -> None:
        match outcome:
            case "unknown_event":
                self.unmapped.count_event(message["event"], message.get("userId"), message.get("anonymousId"))
            case "ignored":
                self.unmapped.count_call(message["type"])


def aliases_of(path: str) -> tuple[str, ...]:
    """Return the other paths of an endpoint."""
    return tuple(alias for alias, meant in ALIASES.items() if meant == path)


def _classify(outcome: Outcome) -> SegmentOutcome:
    if isinstance(outcome, Acceptance):
        return SegmentOutcome.ACCEPTED
    return _OUTCOMES.get(outcome.code, SegmentOutcome.REJECTED)


def _verdict(index: int, message: Any, translation: Translation | Rejection, outcome: Outcome) -> dict[str, Any]:
    entry = verdict(index, outcome)
    if _classify(outcome) is SegmentOutcome.IGNORED:
        entry["status"] = "ignored"
    if isinstance(outcome, Acceptance) and isinstance(translation, Translation) and translation.edits:
        entry["edits"] = [*translation.edits, *entry.get("edits", [])]
    message_id = message.get("messageId") if isinstance(message, dict) else None
    if isinstance(message_id, str) and isolate_defect(is_harmless, message_id) is True:
        entry["message_id"] = message_id
    return entry
