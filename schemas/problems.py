"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, Field

_LONGEST_NAME: Final = 64
_TELLABLE_NAME: Final = re.compile(
    r"(?!(?:[^0-9]*[0-9]){5})(?!.*[0-9]\.[0-9])(?!.{0,64}[_-][Aa][Tt][_-].{0,64}(?:\.|[_-][Dd][Oo][Tt][_-]))"
    r"(?!(?:[^a-z]*[a-z][^A-Z]*[A-Z]){5})"
    r"[_.-]{0,2}[A-Za-z0-9]{1,19}(?:[_.-]{1,2}[A-Za-z0-9]{1,19})*[_.-]{0,2}"
)
"""Words as programs name things. A test holds it to what the detectors of ingest find: none of that has this form."""
_UNTELLABLE: Final = "?"

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


class ProblemError(BaseModel):
    """One thing wrong with a request."""

    code: str = Field(description="Stable, snake_case.")
    pointer: str | None = Field(default=None, description="JSON Pointer (RFC 6901) into the event or body.")
    parameter: str | None = Field(default=None, description="Name of the query parameter at fault.")
    detail: str


class Problem(BaseModel):
    """Why a request was not served. Never repeats a value that was sent."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable, snake_case.")
    detail: str
    instance: str | None = Field(default=None, description="The request id.")
    errors: list[ProblemError] = Field(default_factory=list)
    event_ids: list[str | None] = Field(
        default_factory=list,
        description="Ids to send the events with again, by position; null for a rejected one.",
    )


def safe_name(name: str) -> str:
    """Return the name of a field or parameter as it may be told; `?` for one that could say something of a person."""
    return name if len(name) <= _LONGEST_NAME and _TELLABLE_NAME.fullmatch(name) else _UNTELLABLE
