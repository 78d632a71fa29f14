"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, Field

_LONGEST_NAME: Final = 64
_SAFE_NAME: Final = re.compile(
    r"(?!(?:[^0-9]*[0-9]){5})(?!.*[0-9]\.[0-9])(?!.{0,64}[_-][Aa][Tt][_-].{0,64}(?:\.|[_-][Dd][Oo][Tt][_-]))"
    r"(?!(?:[^a-z]*[a-z][^A-Z]*[A-Z]){5})"
    r"[_.-]{0,2}[A-Za-z0-9]{1,19}(?:[_.-]{1,2}[A-Za-z0-9]{1,19})*[_.-]{0,2}"
)
"""Names as programs use them. A test checks that no text in which a detector of ingest finds personal data matches."""
_UNSAFE: Final = "?"

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


class ProblemError(BaseModel):
    """One error of a request."""

    code: str = Field(description="Stable, snake_case.")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the event or body.")
    parameter: str | None = Field(default=None, description="Name of the invalid query parameter.")
    detail: str


class Problem(BaseModel):
    """Why a request was refused. Repeats no value that was sent."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable, snake_case.")
    detail: str
    instance: str | None = Field(default=None, description="The request id.")
    errors: list[ProblemError] = Field(default_factory=list)
    event_ids: list[str | None] = Field(
        default_factory=list,
        description="Ids with which to send the events again, by position; null for a rejected event.",
    )


def safe_name(name: str) -> str:
    """Return the name of a field or parameter for an error message; `?` for a name that may hold personal data."""
    return name if len(name) <= _LONGEST_NAME and _SAFE_NAME.fullmatch(name) else _UNSAFE
