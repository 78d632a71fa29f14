"""The OpenAPI document of the read service, from the table of questions.

`python -m dashboard.openapi` writes it to stdout.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any, Final

from dashboard.questions.question import HeaderParameter, Question
from dashboard.questions.table import QUESTIONS
from schemas.problems import Problem
from telemetry.health import HealthReport
from web.openapi import (
    REF_TEMPLATE,
    json_response,
    problem_responses,
    render_document,
    schemas_of,
    status_operations,
)

_DESCRIPTION: Final = (
    "Answers about learners and the platform, from aggregates, each with the time through which it is complete;"
    " search for single events, for operators; export and erasure of the data of a learner."
    " Every error is a problem document (RFC 9457).\n\n"
    "Live events are sent over Server-Sent Events as below, or over a WebSocket at `/api/analytics/live` with the same"
    " parameters and credentials. Its frames are JSON texts with a `type`: `welcome`, `events` (up to 500 of them),"
    " `heartbeat`, `behind`, `resync_required`. It closes with 4401 when the credentials expire and with 1012 when the"
    " service restarts. Without headers, offer the subprotocols `analytics.v1` and `bearer.<credential>`."
)

_PROBLEMS: Final = {
    "401": "No valid credentials.",
    "403": "The credentials do not allow this.",
    "414": "The path and the query string are too long; the connection is closed.",
    "422": "A parameter is missing, unknown or out of range; `errors` names it.",
    "429": "Too many requests with invalid credentials from this address: wait Retry-After seconds.",
    "431": "The headers are too large; the connection is closed.",
    "500": "A fault of this service: ask again later.",
    "503": "The answer is temporarily unavailable: retry after Retry-After seconds.",
}

_SECURITY: Final = {
    "HTTPBearer": {"type": "http", "scheme": "bearer", "description": "A learner's token (JWT) or a service's key."},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A service's key."},
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for question in QUESTIONS:
        operation, definitions = _operation(question)
        paths.setdefault(question.path, {})[question.method.lower()] = operation
        schemas |= definitions
    answers = [question.answer for question in QUESTIONS if question.answer is not None]
    schemas |= schemas_of([*dict.fromkeys(answers), Problem, HealthReport], "serialization")
    return {
        "openapi": "3.1.0",
        "info": {"title": "StudyIn Analytics, read service", "version": "1", "description": _DESCRIPTION},
        "paths": paths | _status_paths(),
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


def _operation(question: Question[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the operation of a question, and the schemas that its parameters refer to."""
    model = question.parameters.model_json_schema(ref_template=REF_TEMPLATE)
    parameters = list(_parameters(question.path, model))
    if question.header is not None:
        parameters.append(_header(question.header))
    answer = {} if question.answer is None else json_response("Successful Response", question.answer.__name__)
    operation: dict[str, Any] = {
        "operationId": question.operation,
        "summary": question.operation.replace("_", " ").title(),
        "description": inspect.getdoc(question.function),
        "tags": [question.tag],
        "security": [{name: []} for name in _SECURITY],
        "parameters": parameters,
        "responses": {str(question.status.value): answer, **problem_responses(_PROBLEMS), **question.responses},
    }
    return operation, model.get("$defs", {})


def _parameters(path: str, model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    required = model.get("required", [])
    for name, schema in model["properties"].items():
        place = "path" if f"{{{name}}}" in path else "query"
        if schema.get("default", ...) is None:
            # an absent parameter has no value, not the value null
            del schema["default"]
        parameter = {"name": name, "in": place, "required": name in required, "schema": schema}
        yield parameter | ({"description": schema["description"]} if "description" in schema else {})


def _header(header: HeaderParameter) -> dict[str, Any]:
    schema = {
        "anyOf": [header.values.json_schema(), {"type": "null"}],
        "description": header.description,
        "title": header.name.title(),
    }
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "schema": schema,
        "description": header.description,
    }


def _status_paths() -> dict[str, Any]:
    ready = "Whether Postgres, its schema and Redis are ready, and the lag of the stored events."
    paths = status_operations({"tags": ["operations"]}, ready)
    for path, methods in paths.items():
        methods["get"]["operationId"] = path.removeprefix("/")
    return paths


if __name__ == "__main__":
    sys.stdout.write(render_document(openapi()))
