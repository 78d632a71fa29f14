"""Errors as RFC 9457 problem documents. None repeats a value that was sent."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from runtime.errors import DependencyUnavailable
from schemas.problem import PROBLEM_MEDIA_TYPE, Problem, ProblemError, told_name
from telemetry import logging
from web.problems import Refusal

_DESCRIPTIONS: Final = {
    401: "No valid credentials.",
    403: "The credentials do not cover this.",
    414: "The path and the query string are too long; the connection ends.",
    422: "A parameter is missing, unknown or out of range; `errors` names it.",
    429: "Too many requests from here had no good credentials: wait Retry-After seconds.",
    431: "The headers are too large; the connection ends.",
    503: "The answer cannot be read now: ask again after Retry-After seconds.",
}

_log = logging.get("dashboard")


def described() -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of the problems a question may be answered with."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": text, "content": content} for status, text in _DESCRIPTIONS.items()}


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    for kind, tell in _TELLERS.items():
        app.add_exception_handler(kind, tell)
    app.add_exception_handler(Exception, _defect)


async def told(request: Request, error: Exception) -> Response:
    """Return an error that is one of TOLD as a problem document."""
    return await next(tell for kind, tell in _TELLERS.items() if isinstance(error, kind))(request, error)


def problem_response(scope: Scope, refusal: Refusal) -> Response:
    """Return the refusal as a response; `instance` is the request id."""
    problem = refusal.problem(scope["request_id"])
    return Response(
        problem.model_dump_json(exclude_none=True, exclude={"event_ids"}),
        refusal.status,
        headers=refusal.headers,
        media_type=PROBLEM_MEDIA_TYPE,
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem_response(request.scope, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(fault) for fault in error.errors()]
    return problem_response(
        request.scope,
        Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_parameters", "See `errors` for each parameter.", errors=faults
        ),
    )


def _fault(fault: Mapping[str, Any]) -> ProblemError:
    # ("query", name) of a parameter; its value stays with the sender
    name = told_name(str(fault["loc"][1])) if len(fault["loc"]) > 1 else None
    return ProblemError(code=fault["type"], parameter=name, detail=fault["msg"])


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return problem_response(
        request.scope, Refusal(status, status.name.lower(), status.description, headers=error.headers)
    )


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, DependencyUnavailable)
    _log.warning("answer_unavailable", dependency=error.dependency, reason=error.reason, detail=error.detail)
    return problem_response(
        request.scope,
        Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{error.dependency}_unavailable",
            "The answer cannot be read now; ask again.",
            # spread, so that readers do not all come back at once
            headers={"Retry-After": str(random.randint(1, 5))},
        ),
    )


async def _defect(request: Request, _error: Exception) -> Response:
    # the server logs the error itself
    return problem_response(
        request.scope,
        Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "defect", "A fault of this service; it has been logged."),
    )


_TELLERS: Final[Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    Refusal: _refused,
    RequestValidationError: _invalid,
    HTTPException: _http_error,
    DependencyUnavailable: _unavailable,
}
TOLD: Final = tuple(_TELLERS)
"""Errors that are no defects."""
