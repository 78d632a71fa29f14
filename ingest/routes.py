"""The routes that accept events: one event, or a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pydantic_core import to_json
from starlette.requests import Request

from ingest.acceptance.accept import Outcome
from ingest.body import read_body
from ingest.intake import Intake
from ingest.parsing.batch import parse_batch, parse_event
from ingest.rejection import Rejection, defect_refusal, is_defect, is_retryable
from ingest.verdict import edits, verdict
from schemas.problem import ProblemError
from telemetry import internal_events as telemetry
from web.credentials import ApiKey, presented_key
from web.problems import Refusal
from web.reply import Reply
from web.routing import Route, address_of, headers_of

TRACK: Final = "/api/analytics/events/track"
BATCH: Final = "/api/analytics/events/batch"

DROPPED: Final = "x-analytics-dropped"
"""Header of a batch: number of events that its sender dropped since its last batch."""

MAX_DROPPED: Final = 1_000_000
"""Maximum counted for one request, so that one wrong number cannot distort the metric."""

_COUNT: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class EventRoutes:
    """Accepts events over HTTP and appends them to the stream."""

    intake: Intake

    @property
    def routes(self) -> list[Route]:
        """Return the route table."""
        return [Route(TRACK, ("POST",), self.track), Route(BATCH, ("POST",), self.batch)]

    async def track(self, request: Request) -> Reply:
        """Accept one event. Raises Refusal; 422 if the event is invalid, with the reason."""
        headers = headers_of(request)
        key = self._admit(headers, address_of(request))
        outcome = self.intake.accept_one(parse_event(await read_body(headers, request.receive)), key)
        await self.intake.append([outcome])
        if is_defect(outcome):
            raise defect_refusal()
        if isinstance(outcome, Rejection):
            fault = ProblemError(code=outcome.code, pointer=outcome.pointer, detail=outcome.detail)
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, outcome.code, outcome.detail, errors=[fault])
        answer = {"event_id": outcome.event.event_id, "status": "accepted"} | edits(outcome)
        return Reply(HTTPStatus.ACCEPTED, to_json(answer))

    async def batch(self, request: Request) -> Reply:
        """Accept the valid events of a batch: 202 when all are valid, else 207. Raises Refusal."""
        headers = headers_of(request)
        key = self._admit(headers, address_of(request))
        outcomes = await self._outcomes(await read_body(headers, request.receive), key)
        accepted = await self.intake.append(outcomes)
        # after the append: a refused sender repeats the batch with the same number
        if DROPPED in headers:
            telemetry.sdk_dropped(key.source, dropped_events(headers[DROPPED]))
        retry = sum(map(is_retryable, outcomes)) if accepted < len(outcomes) else 0
        counts = {"received": len(outcomes), "accepted": accepted, "rejected": len(outcomes) - accepted - retry}
        answer = {
            **counts,
            **({"retry": retry} if retry else {}),
            "results": [verdict(index, one) for index, one in enumerate(outcomes)],
        }
        status = HTTPStatus.ACCEPTED if accepted == len(outcomes) else HTTPStatus.MULTI_STATUS
        return Reply(status, to_json(answer))

    async def _outcomes(self, body: bytes, key: ApiKey) -> list[Outcome]:
        # a separate function, so that neither the body nor its parsed events stay in memory while the append waits
        async with self.intake.effort(body) as effort:
            parsed = await effort.run(parse_batch(body, effort))
            return await effort.run(self.intake.accept_all(parsed, key, effort))

    def _admit(self, headers: Mapping[str, str], address: str | None) -> ApiKey:
        return self.intake.admit(presented_key(headers.get("authorization"), headers.get("x-api-key")), address)


def dropped_events(header: str) -> int:
    """Return the number of dropped events in the header; 0 if it is not a number."""
    return min(int(header), MAX_DROPPED) if _COUNT.fullmatch(header) else 0
