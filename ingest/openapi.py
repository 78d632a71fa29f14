"""The OpenAPI document of ingest, from the models. `python -m ingest.openapi` writes it to stdout."""

from __future__ import annotations

import sys
from typing import Any, Final

from pydantic import TypeAdapter

from ingest.parsing.batch import EventBatch
from ingest.routes import BATCH, DROPPED, TRACK
from ingest.segment import routes as segment
from ingest.segment.messages import SegmentBatch, SegmentReply
from schemas.events import EVENT
from schemas.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES, MAX_EVENT_BYTES
from schemas.problems import Problem
from schemas.verdicts import BatchReply, TrackReply
from telemetry.health import HealthReport
from web.openapi import (
    REF_TEMPLATE,
    json_response,
    problem_responses,
    reference,
    render_document,
    schemas_of,
    status_operations,
)

_REFUSALS: Final = {
    "400": "The body cannot be read.",
    "401": "No valid API key.",
    "403": "The key lacks the scope events:write, or TLS is required.",
    "408": "The headers or the body arrived too slowly; the connection is closed.",
    "413": f"More than {MAX_BODY_BYTES} bytes, {MAX_BATCH_EVENTS} events, {MAX_EVENT_BYTES} bytes an event, "
    "or more events than the key may send at once.",
    "414": "The path and the query string are too long; the connection is closed.",
    "415": "Not JSON in UTF-8, or an unknown content encoding.",
    "429": "The key is over its rate limit: send the events again after Retry-After seconds.",
    "431": "The headers are too large; the connection is closed.",
    "500": "A fault of this service: send the same again later.",
    "503": "The stream cannot take events now: retry after Retry-After seconds with the same event_ids.",
}

_DROPPED: Final = {
    "name": "-".join(word.capitalize() for word in DROPPED.split("-")),
    "in": "header",
    "required": False,
    "schema": {"type": "integer", "minimum": 0},
    "description": "Number of events that the sender dropped since its last batch. It is counted in a metric.",
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StudyIn Analytics, ingest",
            "version": "1",
            "description": "Accepts learner events. 202 means the event is in the stream. Every event gets a verdict.",
        },
        "paths": {
            TRACK: {"post": _track()},
            BATCH: {"post": _batch()},
            segment.BATCH: {"post": _segment("batch", "SegmentBatch")},
            **{path: {"post": _segment(call, "SegmentMessage")} for call, path in segment.CALLS.items()},
            **status_operations({"security": []}, ready="Whether it accepts requests."),
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


def _track() -> dict[str, Any]:
    return {
        "summary": "Accept one event.",
        "operationId": "track",
        "requestBody": _body(reference("Event")),
        "responses": {
            "202": json_response("The event is in the stream.", "TrackReply"),
            **problem_responses(_REFUSALS | {"422": "The event is invalid; `errors` has the place and reason."}),
        },
    }


def _batch() -> dict[str, Any]:
    array = {"type": "array", "items": reference("Event"), "minItems": 1, "maxItems": MAX_BATCH_EVENTS}
    return {
        "summary": "Accept the valid events of a batch; report why each other event is rejected.",
        "operationId": "batch",
        "parameters": [_DROPPED],
        "requestBody": _body({"anyOf": [reference("EventBatch"), array]}),
        "responses": {
            "202": json_response("All events are in the stream.", "BatchReply"),
            "207": json_response("Some events are in the stream; `results` says which.", "BatchReply"),
            **problem_responses(_REFUSALS),
        },
    }


def _segment(call: str, model: str) -> dict[str, Any]:
    stored = {"batch": "Accept several calls of Segment's clients.", "track": "Accept one event of Segment's clients."}
    path = segment.CALLS.get(call, segment.BATCH)
    aliases = [alias for alias, meant in segment.ALIASES.items() if meant == path and not alias.endswith("/")]
    return {
        "summary": stored.get(call, "Answer a call of Segment's clients that is not stored."),
        "description": f"Also at {' and '.join(aliases)}, and with a slash at the end of any of these paths.",
        "operationId": f"segment_{call}",
        "security": [{"writeKey": []}, {"bearer": []}, {"apiKey": []}],
        "requestBody": _body(reference(model)),
        "responses": {
            "200": json_response(
                "The accepted events are in the stream; `results` lists what was not accepted.", "SegmentReply"
            ),
            **problem_responses(_REFUSALS),
        },
    }


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _schemas() -> dict[str, Any]:
    replies = schemas_of((TrackReply, BatchReply, SegmentReply, Problem, HealthReport), "serialization")
    batch = TypeAdapter(EventBatch).json_schema(ref_template=REF_TEMPLATE)
    event = EVENT.json_schema(ref_template=REF_TEMPLATE)
    messages = TypeAdapter(SegmentBatch).json_schema(ref_template=REF_TEMPLATE)
    schemas: dict[str, Any] = replies | batch.pop("$defs") | event.pop("$defs") | messages.pop("$defs")
    return schemas | {"EventBatch": batch, "Event": event, "SegmentBatch": messages}


if __name__ == "__main__":
    sys.stdout.write(render_document(openapi()))
