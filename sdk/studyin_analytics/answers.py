"""Interprets answers of ingest for the events of a request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ValidationError

from .no_fork import NO_FORK
from .schemas.verdicts import BatchReply, Verdict

_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_AWAY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Server errors that do not depend on the events: a proxy or ingest is down or overloaded."""
_BODY_REFUSED: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)


@dataclass(frozen=True)
class BatchVerdicts:
    """The verdicts of a request, by position. Events that are neither accepted nor rejected must be sent again."""

    accepted: Sequence[int]
    rejected: Mapping[int, Verdict]
    defective: Sequence[int] = ()
    """Positions of unsettled events on which ingest failed."""


@dataclass(frozen=True)
class Busy:
    """No event is settled. The same request may succeed later."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """No event is settled. Ingest failed, perhaps because of a single event in the request."""

    reason: str


@dataclass(frozen=True)
class BodyRefused:
    """Ingest cannot read the request, perhaps because of a single event in it."""

    code: str
    detail: str


@dataclass(frozen=True)
class SenderRefused:
    """Ingest rejects this sender: its key or its URL is wrong. Its events may be valid."""

    status: int
    code: str
    detail: str


Answer = BatchVerdicts | Busy | Failed | BodyRefused | SenderRefused


DEFECT: Final = "defect"
"""Code of a `retry` verdict for an event on which ingest failed."""

NOT_INGEST: Final = "Unexpected answer; check that url is the URL of ingest."


class _Problem(BaseModel):
    code: str = "unexpected_answer"
    detail: str = NOT_INGEST


def read_answer(status: int, body: bytes, count: int) -> Answer:
    """Return the answer for a request with `count` events."""
    if status in (HTTPStatus.ACCEPTED, HTTPStatus.MULTI_STATUS):
        return _batch_verdicts(status, body, count)
    if status in _BUSY or status in _AWAY:
        return Busy(f"status {status}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failed(f"status {status}")
    problem = _problem(body)
    if status in _BODY_REFUSED:
        return BodyRefused(problem.code, problem.detail)
    is_elsewhere = status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
    return SenderRefused(status, problem.code, NOT_INGEST if is_elsewhere else problem.detail)


def _batch_verdicts(status: int, body: bytes, count: int) -> Answer:
    try:
        with NO_FORK:
            reply = BatchReply.model_validate_json(body)
    except ValidationError:
        return SenderRefused(status, _Problem().code, _Problem().detail)
    verdicts = {each.index: each for each in reply.results if 0 <= each.index < count}
    return BatchVerdicts(
        [index for index, verdict in verdicts.items() if verdict.status == "accepted"],
        {index: verdict for index, verdict in verdicts.items() if verdict.status == "rejected"},
        [index for index, verdict in verdicts.items() if (verdict.status, verdict.code) == ("retry", DEFECT)],
    )


def _problem(body: bytes) -> _Problem:
    try:
        with NO_FORK:
            return _Problem.model_validate_json(body)
    except ValidationError:
        return _Problem()
