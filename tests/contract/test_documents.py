"""Committed documents match the code: the OpenAPI of ingest, JSON Schemas, codes, settings, metrics."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ingest.openapi import openapi
from ingest.parsing import faults
from runtime.settings import Settings
from runtime.settings_table import with_table
from schemas.catalogue import EventType
from schemas.event_table import with_table as with_event_types
from schemas.events import EVENT
from schemas.export import export, json_schemas
from stream.server import failures
from telemetry.exposition import render
from telemetry.labels import BackpressureReason
from telemetry.metrics_table import with_table as with_metrics
from telemetry.roles import Role, registry_of
from tests.corpus.evaluation import with_tables
from web.openapi import render_document
from web.problems import Refusal
from web.server import protocol_errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCHEMAS = DOCS / "schemas"
WITH_TERMS = ("api", "architecture", "first-event", "operations", "privacy", "reliability")
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")]


def test_the_committed_openapi_document_is_current() -> None:
    message = "run: python -m ingest.openapi > docs/openapi-ingest.json"
    assert (DOCS / "openapi-ingest.json").read_text(encoding="utf-8") == render_document(openapi()), message


def test_the_table_of_settings_is_current_and_explains_each() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert page == with_table(page), "run: make docs"
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_table_of_metrics_is_current_and_explains_each() -> None:
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert page == with_metrics(page), "run: make docs"
    for role in Role:
        exported = re.findall("^# TYPE (analytics_[a-z0-9_]+) ", render(registry_of(role))[0].decode(), re.MULTILINE)
        assert [name for name in exported if f"| `{name}` |" not in page] == []


def test_the_figures_of_the_detectors_are_those_of_the_corpus() -> None:
    page = (DOCS / "privacy.md").read_text(encoding="utf-8")
    assert page == with_tables(page), "run: make docs"


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_no_document_links_to_a_file_that_is_not_there() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose(page))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_no_document_links_to_a_section_that_is_not_there() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}#{section}"
        for page in PAGES
        for target, section in re.findall(r"\]\(([^)#:]*\.md|)#([^)]+)\)", prose(page))
        if section not in anchors(page.parent / target if target else page)
    ]
    assert broken == []


def test_the_index_names_every_document() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in DOCS.iterdir() if path.suffix in (".md", ".json") and path.name != "README.md"]
    assert [name for name in pages if f"({name}" not in index] == []


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{name}.md" for name in WITH_TERMS)])
def test_a_document_that_uses_our_terms_links_the_glossary(page: str) -> None:
    assert re.search(r"\]\((?:docs/)?glossary\.md[#)]", (ROOT / page).read_text(encoding="utf-8"))


def test_every_test_that_a_document_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`\s:]+)`", "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")))
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_committed_json_schemas_are_current() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir()}
    assert committed == json_schemas(), "run: python -m schemas.export docs/schemas"


def test_the_table_of_event_types_is_current() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert page == with_event_types(page), "run: make docs"


def test_there_is_a_schema_for_every_type_and_the_export_writes_them_all(tmp_path: Path) -> None:
    export(tmp_path / "new")
    names = {f"{event_type}.json" for event_type in EventType}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(references(child) for child in node.values()))
    if isinstance(node, list):
        return set().union(*(references(child) for child in node))
    return set()


def test_the_openapi_document_names_what_it_holds_and_holds_what_it_names() -> None:
    document = openapi()
    held = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == held
    assert set(document["components"]["schemas"]["Event"]["discriminator"]["mapping"]) == set(EventType)


def check_jsonschema(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *arguments], check=False, capture_output=True, text=True
    )


def test_the_json_schemas_are_json_schemas() -> None:
    result = check_jsonschema("--check-metaschema", *map(str, sorted(SCHEMAS.iterdir())))
    assert result.returncode == 0, result.stdout


ENVELOPE = {"event_type": "xp_earned", "user_id": "learner-7"}


@pytest.mark.parametrize(
    ("event", "valid"),
    [
        (ENVELOPE | {"properties": {"xp_amount": 5}}, True),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "timestamp": None, "schema_version": 1}, True),
        (ENVELOPE | {"properties": {"xp_amount": -1}}, False),
        (ENVELOPE | {"properties": {"xp_amount": "5"}}, False),
        (ENVELOPE | {"properties": {"xp_amount": 5, "email": "a"}}, False),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "ip": "a"}, False),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "session_id": "17"}, True),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "session_id": ["17"]}, False),
        (ENVELOPE | {"properties": {"xp_amount": 5.0}, "session_id": 17, "schema_version": None}, True),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "user_id": 42}, True),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "user_id": True}, False),
        (ENVELOPE | {"properties": {"xp_amount": 5}, "user_id": "x" * 513}, False),
        (ENVELOPE | {"properties": {"xp_amount": 5, "source": "x" * 512}}, True),
        (ENVELOPE | {"properties": {"xp_amount": 5.5}}, False),
        (ENVELOPE, False),
        ({"event_type": "xp_earned", "properties": {"xp_amount": 5}}, False),
    ],
)
def test_a_sender_with_the_schema_judges_as_ingest_does(tmp_path: Path, event: dict[str, Any], valid: bool) -> None:
    instance = tmp_path / "event.json"
    instance.write_text(json.dumps(event), encoding="utf-8")
    result = check_jsonschema("--schemafile", str(SCHEMAS / "xp_earned.json"), str(instance))
    assert (result.returncode == 0) == valid, result.stdout
    try:
        EVENT.validate_json(instance.read_bytes())
    except ValidationError:
        assert not valid
    else:
        assert valid


def codes_given_to(function: str, position: int) -> set[str]:
    """Return the literal codes that the sources of ingest, of the stream and of the router pass to `function`."""
    calls = [
        node
        for path in (*(ROOT / "ingest").rglob("*.py"), *(ROOT / "stream").rglob("*.py"), ROOT / "web" / "routing.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function
    ]
    assert calls
    codes = [call.args[position] for call in calls if len(call.args) > position]
    return {code.value for code in codes if isinstance(code, ast.Constant) and isinstance(code.value, str)}


def codes_in_the_code() -> set[str]:
    of_events = codes_given_to("Rejection", 0) | {code for code, _ in faults._TYPES.values()}
    of_content = {faults._code(kind) for kind in ("string_type", "datetime_parsing", "less_than_equal")}
    of_the_stream = codes_given_to("StreamUnavailable", 0) | set(failures._WORDS.values())
    return (
        of_events
        | of_content
        | codes_given_to("Refusal", 1)
        | of_the_stream
        | {"too_many_failures", "tls_required"}
        | set(BackpressureReason) - {BackpressureReason.STREAM_UNAVAILABLE}
    )


def test_every_code_a_sender_may_meet_is_documented_and_no_other() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    text = text.partition("## Sending events")[2].partition("## Asking questions")[0]
    rows = re.findall(r"^\|(?: \d{3} \|)? ((?:`[a-z_]+`(?:, )?)+) \|", text, flags=re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    documented -= {"event_type", "user_id", "properties", "event_id", "timestamp", "session_id", "schema_version"}
    assert documented == codes_in_the_code()


def test_every_refusal_of_a_connection_is_documented_and_no_other() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    text = text.partition("## Every request")[2].partition("## Sending events")[0]
    documented = set(re.findall(r"^\| (\d{3}) \| `([a-z_]+)` \|", text, flags=re.MULTILINE))
    refusals = [one for one in vars(protocol_errors).values() if isinstance(one, Refusal)]
    assert documented == {(str(one.status.value), one.code) for one in refusals}
