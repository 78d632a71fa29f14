"""The row type of the table of questions, and the types between the function of a row and its endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter
from starlette.types import ASGIApp

from dashboard.access.authenticator import Caller, Learner, require
from dashboard.services import Services
from schemas.access import Scope
from web.reply import Reply

Parameters = TypeVar("Parameters", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Inquiry(Generic[Parameters]):
    """One request for an answer: authenticated, validated and authorized."""

    services: Services
    caller: Caller
    parameters: Parameters
    address: str | None
    """Network address of the client."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and what the audit log records about it."""

    content: ASGIApp
    span: Mapping[str, str] = field(default_factory=dict)
    """Extent of the request: parsed values of bounded length."""
    shown: Sequence[bytes] = ()
    """Pseudonyms of other learners whose events are shown."""


@dataclass(frozen=True, slots=True)
class HeaderParameter:
    """A request header that overrides a parameter."""

    name: str
    overrides: str
    """Name of the field of the parameters."""
    values: TypeAdapter[Any]
    description: str


@dataclass(frozen=True, slots=True)
class Question(Generic[Parameters]):
    """One row of the table: path, parameters, required scope and function."""

    operation: str
    """Name in the OpenAPI document."""
    path: str
    parameters: type[Parameters]
    """Fields that the path names are read from the path, the others from the query."""
    scope: Scope
    """Scope that the key of a service needs."""
    function: Callable[[Inquiry[Parameters]], Awaitable[Answer]]
    """Returns the answer. Raises Refusal and DependencyUnavailable. Its docstring describes the question."""
    answer: type[BaseModel] | None
    """Model of the answer; None: `responses` describes it."""
    tag: str
    method: str = "GET"
    status: HTTPStatus = HTTPStatus.OK
    serves_learners: bool = False
    """Whether the question accepts a learner's token, for that learner."""
    header: HeaderParameter | None = None
    responses: Mapping[str, Any] = field(default_factory=dict)
    """Further responses, in OpenAPI's form."""

    @property
    def action(self) -> str:
        """The action that the audit log records."""
        return f"{self.method} {self.path}"

    def authorize(self, caller: Caller) -> None:
        """Raise Refusal (403) if the caller may not use this question."""
        if not (self.serves_learners and isinstance(caller, Learner)):
            require(caller, self.scope)


def json_reply(answer: BaseModel | bytes, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    """Return an answer in JSON. Bytes are sent as they are."""
    return Reply(status, answer if isinstance(answer, bytes) else answer.model_dump_json(by_alias=True).encode())
