"""Interprets answers of ingest for the events of a request.

The SDK has its own reader (`studyin_analytics.answers`), because the two react differently. A command has an operator:
it fails when a retry would not help, and honours a rate limit without counting it as a failure. The SDK runs
unattended: it keeps the events and retries after every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ValidationError
from studyin_analytics.answers import DEFECT
from studyin_analytics.retry import retry_after_seconds

from runtime.errors import DependencyUnavailable
from schemas.verdicts import BatchReply, Verdict

_BUSY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_BODY_REFUSED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_KEY_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class IngestUnavailable(DependencyUnavailable):
    """Ingest does not answer, or rejects this sender. Events without a verdict may or may not be stored."""

    dependency = "ingest"


@dataclass(frozen=True, slots=True)
class BatchVerdicts:
    """The verdicts of a request. Events that are not settled must be sent again."""

    settled: Mapping[int, Verdict]
    """Final verdicts by index of the event."""
    retry_after: float
    """Seconds."""
    defects: frozenset[int] = frozenset()
    """Indexes of unsettled events on which ingest failed."""


@dataclass(frozen=True, slots=True)
class Busy:
    """No event is settled. The same request may succeed later."""

    reason: str
    retry_after: float
    paced: bool = False
    """Whether ingest only enforces a rate limit. Such an answer is not a failure, however often it comes."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Ingest failed, perhaps because of a single event in the request."""

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class BodyRefused:
    """Ingest cannot read the request, perhaps because of a single event in it."""

    code: str
    detail: str


Answer = BatchVerdicts | Busy | Failed | BodyRefused


class _Problem(BaseModel):
    code: str = "unreadable_body"
    detail: str = "Ingest cannot read the request."


def read_answer(status: int, retry_after: str | None, body: bytes, count: int, now: datetime) -> Answer:
    """Return the answer for a request with `count` events. Raises IngestUnavailable when a retry would not help."""
    wait = retry_after_seconds(retry_after, now)
    match status:
        case HTTPStatus.ACCEPTED | HTTPStatus.MULTI_STATUS:
            return _batch_verdicts(body, count, wait)
        case HTTPStatus.INTERNAL_SERVER_ERROR:
            return Failed(f"status {status}", wait)
        case _ if status in _BUSY or status > HTTPStatus.HTTP_VERSION_NOT_SUPPORTED:
            return Busy(f"status {status}", wait, paced=status == HTTPStatus.TOO_MANY_REQUESTS and wait > 0)
        case _ if status in _BODY_REFUSED:
            problem = _problem(body)
            return BodyRefused(problem.code, problem.detail)
        case _ if status in _KEY_REFUSED:
            raise IngestUnavailable("key refused", _problem(body).detail)
        case _:
            raise IngestUnavailable("unexpected answer", f"status {status}; check that --url is the URL of ingest")


def _batch_verdicts(body: bytes, count: int, wait: float) -> BatchVerdicts:
    try:
        reply = BatchReply.model_validate_json(body)
    except ValidationError:
        raise IngestUnavailable("unexpected answer", "no verdicts; check that --url is the URL of ingest") from None
    ours = [each for each in reply.results if 0 <= each.index < count]
    return BatchVerdicts(
        {each.index: each for each in ours if each.status != "retry"},
        wait,
        frozenset(each.index for each in ours if each.status == "retry" and each.code == DEFECT),
    )


def _problem(body: bytes) -> _Problem:
    try:
        return _Problem.model_validate_json(body)
    except ValidationError:
        return _Problem()
