"""Serves a question: authenticate, validate, authorize, answer, record in the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp

from dashboard.access.authenticator import Caller
from dashboard.audit import audit_refusals, record_audit
from dashboard.percent_encoding import refuse_unreadable
from dashboard.questions.parameters import refuse_repeated
from dashboard.questions.question import HeaderParameter, Inquiry, Parameters, Question
from dashboard.services import Services
from schemas.problems import ProblemError, safe_name
from web.problems import invalid_parameters
from web.routing import Route, address_of


def question_route(question: Question[Any], services: Services) -> Route:
    """Return the route of a question."""
    return Route(question.path, (question.method,), partial(answer_question, question, services))


async def answer_question(question: Question[Any], services: Services, request: Request) -> ASGIApp:
    """Return the answer once it is in the audit log. Raises Refusal and DependencyUnavailable.

    Refusals of authenticated callers are in the audit log too. Failed authentications are only counted: they must not
    fill the log.
    """
    caller = identify(services, request, request.headers.get("authorization"))
    async with audit_refusals(services, request, caller, question.action):
        refuse_malformed(request)
        parameters = parse_parameters(question, request)
        question.authorize(caller)
        answer = await question.function(Inquiry(services, caller, parameters, address_of(request)))
    await record_audit(services, request, caller, question.action, question.status, answer.span, answer.shown)
    return answer.content


def identify(services: Services, connection: HTTPConnection, authorization: str | None) -> Caller:
    """Return the caller of a request. Raises Refusal (401, 429 or 503)."""
    key = connection.headers.get("x-api-key")
    return services.authenticator.identify(authorization, key, address_of(connection))


def refuse_malformed(connection: HTTPConnection) -> None:
    """Raise Refusal (422) for a parameter that is not percent-encoded UTF-8, or is repeated."""
    scope = connection.scope
    refuse_unreadable(scope.get("raw_path", b""), connection.path_params, scope["query_string"])
    refuse_repeated(connection.query_params)


def parse_parameters(question: Question[Parameters], connection: HTTPConnection) -> Parameters:
    """Return the parameters of a request. Raises Refusal (422) that names each invalid one."""
    values = _query_values(question.parameters, connection.query_params) | connection.path_params
    faults: list[ProblemError] = []
    overrides: dict[str, Any] = {}
    parameters = None
    try:
        parameters = question.parameters.model_validate(values)
    except ValidationError as error:
        faults += _faults(error)
    if question.header is not None:
        try:
            overrides = _override(question.header, connection.headers)
        except ValidationError as error:
            faults += _faults(error, question.header.name)
    if parameters is None or faults:
        raise invalid_parameters(faults)
    return parameters.model_copy(update=overrides) if overrides else parameters


def _query_values(model: type[BaseModel], query: QueryParams) -> dict[str, Any]:
    lists = _list_parameters(model)
    return {name: query.getlist(name) if name in lists else value for name, value in query.items()}


@cache
def _list_parameters(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the parameters that may be repeated."""
    return frozenset(
        field.alias or name for name, field in model.model_fields.items() if get_origin(field.annotation) is list
    )


def _override(header: HeaderParameter, headers: Mapping[str, str]) -> dict[str, Any]:
    sent = headers.get(header.name)
    return {} if sent is None else {header.overrides: header.values.validate_python(sent)}


def _faults(error: ValidationError, header: str | None = None) -> Sequence[ProblemError]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        ProblemError(code=fault["type"], parameter=safe_name(header or str(fault["loc"][0])), detail=fault["msg"])
        for fault in found
    ]
