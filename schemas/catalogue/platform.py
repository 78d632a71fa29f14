"""Events of the platform's API: requests and errors."""

from __future__ import annotations

from pydantic import Field

from .property_types import Identifier, Label, Method, Milliseconds, Properties, StatusCode


class ApiRequestProperties(Properties):
    endpoint: Label = Field(description="The route template, such as /courses/{id}.")
    method: Method
    status_code: StatusCode
    duration_ms: Milliseconds


class ApiErrorProperties(Properties):
    endpoint: Label = Field(description="The route template, such as /courses/{id}.")
    method: Method | None = None
    status_code: StatusCode | None = None
    error_type: Identifier
