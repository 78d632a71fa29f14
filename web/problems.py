"""Errors of HTTP services as problem documents (RFC 9457)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from runtime.errors import DependencyUnavailable
from schemas.problems import PROBLEM_MEDIA_TYPE, Problem, ProblemError
from web.reply import Reply


class Refusal(Exception):
    """A request that is not served. Its texts repeat no value of the request."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[ProblemError] = (),
        event_ids: Sequence[str | None] = (),
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.errors = list(errors)
        self.event_ids = list(event_ids)


DEFECT: Final = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "defect", "Internal error; it has been logged.")


def invalid_parameters(errors: Sequence[ProblemError]) -> Refusal:
    """Return the refusal (422) of a request whose parameters have these errors."""
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_parameters", "See `errors` for each parameter.", errors=errors
    )


def refusal_for(error: Exception) -> Refusal | None:
    """Return the refusal that answers an error; None for a defect."""
    match error:
        case Refusal():
            return error
        case DependencyUnavailable():
            return Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{error.dependency}_unavailable",
                "The answer is temporarily unavailable; retry later.",
                # spread, so that readers do not all return at once
                headers={"retry-after": str(random.randint(1, 5))},
            )
        case _:
            return None


def problem_body(refusal: Refusal, request_id: str) -> bytes:
    """Return the problem document of a refusal, as JSON. `instance` is the request id."""
    problem = Problem(
        title=refusal.status.phrase,
        status=refusal.status,
        code=refusal.code,
        detail=refusal.detail,
        instance=request_id,
        errors=refusal.errors,
        event_ids=refusal.event_ids,
    )
    return problem.model_dump_json(exclude_none=True, exclude=None if refusal.event_ids else {"event_ids"}).encode()


def problem_reply(refusal: Refusal, request_id: str) -> Reply:
    """Return the answer to a request that is refused."""
    headers = {"content-type": PROBLEM_MEDIA_TYPE, **refusal.headers}
    return Reply(refusal.status, problem_body(refusal, request_id), headers)
