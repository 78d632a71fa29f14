"""The committed OpenAPI document of the read service is the one it serves, and it is correct."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dashboard.openapi import openapi
from web.openapi import render_document

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi-dashboard.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi()


def test_the_committed_description_is_current(document: dict[str, Any]) -> None:
    message = "run: python -m dashboard.openapi > docs/openapi-dashboard.json"
    assert COMMITTED.read_text(encoding="utf-8") == render_document(document), message


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(child) for child in node.values()))
    if isinstance(node, list):
        return set().union(*(references(child) for child in node))
    return set()


def test_every_schema_that_is_named_is_there_and_needed(document: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == schemas


ANSWERS = {
    "/api/analytics/learning/overview": {
        "meta",
        "total_sessions",
        "total_duration_seconds",
        "materials_viewed",
        "materials_completed",
        "xp_earned",
        "total_xp",
        "current_level",
        "current_streak",
        "longest_streak",
        "achievements_earned",
        "active_days",
    },
    "/api/analytics/learning/heatmap": {"meta", "days"},
    "/api/analytics/gamification/progress": {
        "meta",
        "current_xp",
        "current_level",
        "xp_for_current_level",
        "xp_for_next_level",
        "progress_percentage",
        "achievements",
        "xp_trend",
    },
    "/api/analytics/system/metrics": {
        "meta",
        "total_requests",
        "latency_ms",
        "error_rate",
        "errors_by_type",
        "top_endpoints",
        "active_users",
        "suppressed",
    },
    "/api/analytics/events": {"meta", "events", "next_cursor"},
}


@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_keeps_its_fields(document: dict[str, Any], path: str) -> None:
    """Fields may be added. A field that is removed or made optional breaks a reader."""
    [name] = references(document["paths"][path]["get"]["responses"]["200"])
    schema = document["components"]["schemas"][name.rpartition("/")[2]]
    assert ANSWERS[path] <= set(schema["required"])


@pytest.mark.parametrize("path", ANSWERS)
def test_every_error_is_described_as_a_problem(document: dict[str, Any], path: str) -> None:
    responses = document["paths"][path]["get"]["responses"]
    refusals = {"401", "403", "414", "422", "429", "431", "500", "503"}
    assert set(responses) == {"200", *refusals}
    for status in refusals:
        assert list(responses[status]["content"]) == ["application/problem+json"]


def test_the_description_is_json(document: dict[str, Any]) -> None:
    assert json.loads(render_document(document)) == document
