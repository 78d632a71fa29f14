"""Parts of the OpenAPI documents that all services share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from schemas.problems import PROBLEM_MEDIA_TYPE

REF_TEMPLATE: Final = "#/components/schemas/{model}"


def reference(model: str) -> dict[str, str]:
    """Return a reference to a schema of the document."""
    return {"$ref": REF_TEMPLATE.format(model=model)}


def json_response(description: str, model: str) -> dict[str, Any]:
    """Return a response with a JSON body."""
    return {"description": description, "content": {"application/json": {"schema": reference(model)}}}


def problem_responses(descriptions: Mapping[str, str]) -> dict[str, Any]:
    """Return responses with problem documents, by status."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": reference("Problem")}}
    return {status: {"description": text, "content": content} for status, text in sorted(descriptions.items())}


def documented_statuses(document: Mapping[str, Any], path: str) -> list[str]:
    """Return the statuses of all operations of a path, sorted. Raises KeyError for an undocumented path."""
    return sorted({status for operation in document["paths"][path].values() for status in operation["responses"]})


def status_operations(more: Mapping[str, Any], ready: str) -> dict[str, Any]:
    """Return the paths of the status routes. `more` is part of every operation; `ready` describes `/readyz`."""
    probe = {"200": json_response("Yes.", "HealthReport"), "503": json_response("No.", "HealthReport")}
    metrics = {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    operations: dict[str, dict[str, Any]] = {
        "/livez": {"summary": "Whether the process is alive.", "responses": probe},
        "/readyz": {"summary": ready, "responses": probe},
        "/metrics": {"summary": "Metrics in Prometheus' text format.", "responses": {"200": metrics}},
    }
    return {path: {"get": {**operation, **more}} for path, operation in operations.items()}


def schemas_of(models: Iterable[type[BaseModel]], mode: JsonSchemaMode) -> dict[str, Any]:
    """Return the schemas of models and of their parts, by name."""
    _, schemas = models_json_schema([(model, mode) for model in models], ref_template=REF_TEMPLATE)
    definitions: dict[str, Any] = schemas.get("$defs", {})
    return definitions


def render_document(document: Mapping[str, Any]) -> str:
    """Return the document as it is committed."""
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
