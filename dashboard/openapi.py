"""The description of the API, with its errors as they are sent. `python -m dashboard.openapi` writes it to stdout."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dashboard.api import create_api
from schemas.problem import Problem
from telemetry.health import HealthReport

_SCHEMA_REF: Final = "#/components/schemas/{model}"


def describe(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application."""
    document = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
    problem = Problem.model_json_schema(ref_template=_SCHEMA_REF, mode="serialization")
    health = HealthReport.model_json_schema(ref_template=_SCHEMA_REF, mode="serialization")
    document["components"]["schemas"] |= {
        **problem.pop("$defs"),
        **health.pop("$defs"),
        Problem.__name__: problem,
        HealthReport.__name__: health,
    }
    document["paths"] |= {
        "/livez": _probe("livez", "Whether the process is alive."),
        "/readyz": _probe("readyz", "Whether Postgres, its schema and Redis let it answer, and how far it is behind."),
        "/metrics": _metrics(),
    }
    return document


def _probe(name: str, summary: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _SCHEMA_REF.format(model=HealthReport.__name__)}}}
    responses = {"200": {"description": "Yes.", "content": content}, "503": {"description": "No.", "content": content}}
    return {"get": {"operationId": name, "summary": summary, "tags": ["operations"], "responses": responses}}


def _metrics() -> dict[str, Any]:
    answer = {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    summary = "Metrics in Prometheus' text format."
    return {"get": {"operationId": "metrics", "summary": summary, "tags": ["operations"], "responses": {"200": answer}}}


def written(document: dict[str, Any]) -> str:
    """Return the document as it is committed."""
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(written(describe(create_api())))
