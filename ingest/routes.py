"""The two ways in: one event, or a batch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pydantic_core import to_json
from starlette.types import Receive

from ingest.body import read_body
from ingest.endpoint import Endpoint, Reply
from ingest.intake import Intake
from ingest.parsing.batch import parse_batch, parse_event
from ingest.rejection import Rejection, defect_refusal, is_defect, is_retryable
from ingest.verdict import edits, verdict
from schemas.problem import ProblemError
from telemetry import events as telemetry
from web.credentials import ApiKey, presented_key
from web.problems import Refusal

TRACK: Final = "/api/analytics/events/track"
BATCH: Final = "/api/analytics/events/batch"

DROPPED: Final = "x-analytics-dropped"
"""Header of a batch: how many events its sender had to drop since its last one."""

MOST_DROPPED: Final = 1_000_000
"""Believed of one request: a wrong number must not drown the right ones."""

_COUNT: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class EventRoutes:
    """Takes events from the network to the stream."""

    intake: Intake

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """What answers each path."""
        return {TRACK: self.track, BATCH: self.batch}

    async def track(self, headers: Mapping[str, str], address: str | None, receive: Receive) -> Reply:
        """Accept one event. Raises Refusal: 422 names what is wrong with it."""
        key = self._admit(headers, address)
        body = await read_body(headers, receive)
        judged = self.intake.accept_one(parse_event(body), key)
        await self.intake.append([judged])
        if is_defect(judged):
            raise defect_refusal()
        if isinstance(judged, Rejection):
            fault = ProblemError(code=judged.code, pointer=judged.pointer, detail=judged.detail)
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, judged.code, judged.detail, errors=[fault])
        answer = {"event_id": judged.event.event_id, "status": "accepted"} | edits(judged)
        return Reply(HTTPStatus.ACCEPTED, to_json(answer))

    async def batch(self, headers: Mapping[str, str], address: str | None, receive: Receive) -> Reply:
        """Accept what is good of a batch and say what is not: 202 when all was, else 207. Raises Refusal."""
        key = self._admit(headers, address)
        body = await read_body(headers, receive)
        async with self.intake.effort(body) as effort:
            parsed = await effort.run(parse_batch(body, effort))
            judged = await effort.run(self.intake.accept_all(parsed, key, effort))
        accepted = await self.intake.append(judged)
        # Not before: a sender that is refused comes again, with the same number.
        if DROPPED in headers:
            telemetry.sdk_dropped(key.source, dropped_events(headers[DROPPED]))
        retry = sum(map(is_retryable, judged)) if accepted < len(judged) else 0
        counts = {"received": len(judged), "accepted": accepted, "rejected": len(judged) - accepted - retry}
        answer = {
            **counts,
            **({"retry": retry} if retry else {}),
            "results": [verdict(index, one) for index, one in enumerate(judged)],
        }
        status = HTTPStatus.ACCEPTED if accepted == len(judged) else HTTPStatus.MULTI_STATUS
        return Reply(status, to_json(answer))

    def _admit(self, headers: Mapping[str, str], address: str | None) -> ApiKey:
        return self.intake.admit(presented_key(headers.get("authorization"), headers.get("x-api-key")), address)


def dropped_events(header: str) -> int:
    """Return how many events a sender says it dropped, 0 when that is no number."""
    return min(int(header), MOST_DROPPED) if _COUNT.fullmatch(header) else 0
