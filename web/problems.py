"""Errors of HTTP services as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from schemas.problem import Problem, ProblemError


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

    def problem(self, request_id: str) -> Problem:
        """Return the problem document of the answer."""
        return Problem(
            title=self.status.phrase,
            status=self.status,
            code=self.code,
            detail=self.detail,
            instance=request_id,
            errors=self.errors,
            event_ids=self.event_ids,
        )
