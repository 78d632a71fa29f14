"""The OpenAPI document of ingest, from the models. `python -m ingest.openapi` writes it to stdout."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from ingest.parsing.batch import EventBatch
from ingest.routes import BATCH, DROPPED, TRACK
from ingest.segment import routes as segment
from ingest.segment.messages import SegmentBatch, SegmentReply
from schemas.events import EVENT
from schemas.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES, MAX_EVENT_BYTES
from schemas.problem import PROBLEM_MEDIA_TYPE, Problem
from schemas.verdicts import BatchReply, TrackReply
from telemetry.health import HealthReport

_REF: Final = "#/components/schemas/{model}"

_REFUSALS: Final = {
    "400": "The body cannot be read.",
    "401": "No valid API key.",
    "403": "The key lacks the scope events:write, or TLS is required.",
    "408": "The headers or the body came too slowly; the connection ends.",
    "413": f"More than {MAX_BODY_BYTES} bytes, {MAX_BATCH_EVENTS} events, {MAX_EVENT_BYTES} bytes an event, "
    "or more events than the key may send at once.",
    "414": "The path and the query string are too long; the connection ends.",
    "415": "Not JSON in UTF-8, or an unknown content encoding.",
    "429": "The key has sent its share of events: send these again after Retry-After seconds.",
    "431": "The headers are too large; the connection ends.",
    "500": "A fault of this service: send the same again later.",
    "503": "The stream cannot take events now: retry after Retry-After seconds with the same event_ids.",
}

_DROPPED: Final = {
    "name": "-".join(word.capitalize() for word in DROPPED.split("-")),
    "in": "header",
    "required": False,
    "schema": {"type": "integer", "minimum": 0},
    "description": "How many events the sender had to drop since its last batch; for the operators to see.",
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StudyIn Analytics, ingest",
            "version": "1",
            "description": "Learner events in. A 202 means the event is in the stream; every event gets a verdict.",
        },
        "paths": {
            TRACK: {"post": _track()},
            BATCH: {"post": _batch()},
            segment.BATCH: {"post": _segment("batch", "SegmentBatch")},
            **{path: {"post": _segment(call, "SegmentMessage")} for call, path in segment.CALLS.items()},
            "/livez": {"get": _status("Whether the process is alive.")},
            "/readyz": {"get": _status("Whether it may be given work.")},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "writeKey": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"bearer": []}, {"apiKey": []}],
    }


def written() -> str:
    """Return the document as it is committed."""
    return json.dumps(openapi(), indent=2, sort_keys=True) + "\n"


def _track() -> dict[str, Any]:
    return {
        "summary": "Accept one event.",
        "operationId": "track",
        "requestBody": _body(_reference("Event")),
        "responses": {
            "202": _json("The event is in the stream.", "TrackReply"),
            **_problems(_REFUSALS | {"422": "The event is invalid; `errors` says where."}),
        },
    }


def _batch() -> dict[str, Any]:
    array = {"type": "array", "items": _reference("Event"), "minItems": 1, "maxItems": MAX_BATCH_EVENTS}
    return {
        "summary": "Accept the good events of a batch and say what is wrong with the others.",
        "operationId": "batch",
        "parameters": [_DROPPED],
        "requestBody": _body({"anyOf": [_reference("EventBatch"), array]}),
        "responses": {
            "202": _json("All events are in the stream.", "BatchReply"),
            "207": _json("Some are; `results` says which.", "BatchReply"),
            **_problems(_REFUSALS),
        },
    }


def _segment(call: str, model: str) -> dict[str, Any]:
    stored = {"batch": "Take several calls of Segment's clients.", "track": "Take one event of Segment's clients."}
    path = segment.CALLS.get(call, segment.BATCH)
    aliases = [alias for alias, meant in segment.ALIASES.items() if meant == path and not alias.endswith("/")]
    return {
        "summary": stored.get(call, "Answer a call of Segment's clients that holds nothing to be stored."),
        "description": f"Also at {' and '.join(aliases)}, and with a slash at the end of any of these paths.",
        "operationId": f"segment_{call}",
        "security": [{"writeKey": []}, {"bearer": []}, {"apiKey": []}],
        "requestBody": _body(_reference(model)),
        "responses": {
            "200": _json("What was accepted is in the stream; `results` says what was not.", "SegmentReply"),
            **_problems(_REFUSALS),
        },
    }


def _status(summary: str) -> dict[str, Any]:
    responses = {"200": _json("Yes.", "HealthReport"), "503": _json("No.", "HealthReport")}
    return {"summary": summary, "security": [], "responses": responses}


def _metrics() -> dict[str, Any]:
    metrics = {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": "Metrics in Prometheus' text format.", "security": [], "responses": {"200": metrics}}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=model)}


def _json(description: str, model: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _reference(model)}}}


def _problems(descriptions: dict[str, str]) -> dict[str, Any]:
    content = {PROBLEM_MEDIA_TYPE: {"schema": _reference("Problem")}}
    return {status: {"description": text, "content": content} for status, text in sorted(descriptions.items())}


def _schemas() -> dict[str, Any]:
    _, replies = models_json_schema(
        [(model, "serialization") for model in (TrackReply, BatchReply, SegmentReply, Problem, HealthReport)],
        ref_template=_REF,
    )
    batch = TypeAdapter(EventBatch).json_schema(ref_template=_REF)
    event = EVENT.json_schema(ref_template=_REF)
    messages = TypeAdapter(SegmentBatch).json_schema(ref_template=_REF)
    schemas: dict[str, Any] = replies["$defs"] | batch.pop("$defs") | event.pop("$defs") | messages.pop("$defs")
    return schemas | {"EventBatch": batch, "Event": event, "SegmentBatch": messages}


if __name__ == "__main__":
    sys.stdout.write(written())
