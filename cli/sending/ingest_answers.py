"""What an answer of ingest means for the events of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ValidationError
from studyin_analytics.retry import retry_after_seconds

from runtime.errors import DependencyUnavailable
from schemas.verdicts import BatchReply, Verdict

DEFECT: Final = "defect"
"""Code of an event that ingest fails on."""

_BUSY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
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
    """Ingest does not answer, or refuses us as a whole; what has no verdict yet may or may not be stored."""

    dependency = "ingest"


@dataclass(frozen=True, slots=True)
class Judged:
    """Each event that is settled, by its index; the others are to be sent again."""

    settled: Mapping[int, Verdict]
    retry_after: float
    defects: frozenset[int] = frozenset()
    """Those among the others that ingest failed on."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Nothing is settled; the same request may do later."""

    reason: str
    retry_after: float
    paced: bool = False
    """The service is well and only says when it is our turn: no failure, however long it takes."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Ingest itself failed, which may be the fault of a single event of the request, or of no event."""

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class BodyRefused:
    """The request cannot be read, which may be the fault of a single event in it."""

    code: str
    detail: str


Answer = Judged | Busy | Failed | BodyRefused


class _Problem(BaseModel):
    code: str = "unreadable_body"
    detail: str = "The service cannot read it."


def read_answer(status: int, retry_after: str | None, body: bytes, count: int, now: datetime) -> Answer:
    """Return what ingest says of `count` events. Raises IngestUnavailable when trying again would not help."""
    wait = retry_after_seconds(retry_after, now)
    match status:
        case HTTPStatus.ACCEPTED | HTTPStatus.MULTI_STATUS:
            return _judged(body, count, wait)
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
            raise IngestUnavailable("unexpected answer", f"status {status}; is this the URL of ingest?")


def _judged(body: bytes, count: int, wait: float) -> Judged:
    try:
        reply = BatchReply.model_validate_json(body)
    except ValidationError:
        raise IngestUnavailable("unexpected answer", "no verdicts; is this the URL of ingest?") from None
    ours = [each for each in reply.results if 0 <= each.index < count]
    return Judged(
        {each.index: each for each in ours if each.status != "retry"},
        wait,
        frozenset(each.index for each in ours if each.status == "retry" and each.code == DEFECT),
    )


def _problem(body: bytes) -> _Problem:
    try:
        return _Problem.model_validate_json(body)
    except ValidationError:
        return _Problem()
