"""The way of a question past FastAPI, whose own way to a function and back costs more than most answers do.

The functions are those that FastAPI describes, with the same parameters: asked through it, they answer the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.audit_trail import answer_on_record
from dashboard.problems import TOLD, told
from dashboard.routes import identify
from dashboard.services import services_of


class Shortcut:
    """Around FastAPI's router: answers the questions of some routes itself, and leaves it everything else."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        """Take routes that are asked with GET, and have a path and parameters of a query alone."""
        self._app = app
        self._questions = {route.path: _Question.of(route) for route in routes if isinstance(route, APIRoute)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or tell what is wrong as FastAPI would; a defect goes on to whoever tells of defects."""
        is_get = scope["type"] == "http" and scope["method"] == "GET"
        question = self._questions.get(scope["path"]) if is_get else None
        if question is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await answer_on_record(request, question.action, question.answer)
        except TOLD as error:
            response = await told(request, error)
        await response(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Question:
    action: str
    function: Callable[..., Awaitable[BaseModel | Response]]
    parameters: type[BaseModel]
    lists: frozenset[str]
    """Names of parameters that may be given several times."""
    takes_request: bool

    @classmethod
    def of(cls, route: APIRoute) -> _Question:
        hints = get_type_hints(route.endpoint)
        fields = hints["query"].model_fields.items()
        lists = frozenset(field.alias or name for name, field in fields if get_origin(field.annotation) is list)
        return cls(f"GET {route.path_format}", route.endpoint, hints["query"], lists, "request" in hints)

    async def answer(self, request: Request) -> Response:
        arguments: dict[str, Any] = {"caller": identify(request, request.headers.get("Authorization"))}
        if self.takes_request:
            arguments["request"] = request
        query = self._parameters(request.query_params)
        answer = await self.function(services=services_of(request), query=query, **arguments)
        if isinstance(answer, Response):
            return answer
        return Response(answer.model_dump_json(by_alias=True), media_type="application/json")

    def _parameters(self, given: QueryParams) -> BaseModel:
        asked: dict[str, Any] = {
            name: given.getlist(name) if name in self.lists else value for name, value in given.items()
        }
        try:
            return self.parameters.model_validate(asked)
        except ValidationError as error:
            faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors(include_url=False)]
            raise RequestValidationError(faults) from None
