"""Compares a response with the expected result of a case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from tests.cases.wire import NotExecutable, Reply

PROBLEM = "application/problem+json"

CHECKED_ELSEWHERE = frozenset({"note", "within_seconds", "stored_endpoint"})
"""Expected fields that are not compared here: a note for people, or checked where the case is run."""


def assert_as_expected(expected: Mapping[str, Any], reply: Reply) -> None:
    """Compare a response with every field of `expected`. Raises AssertionError and NotExecutable."""
    shown = f"{reply.status} {reply.content[:2000].decode(errors='replace')}"
    assert_valid_error_format(reply, shown)
    for name, wanted in expected.items():
        if name in CHECKED_ELSEWHERE:
            continue
        if name == "status_not":
            assert reply.status not in _listed(wanted), shown
        else:
            assert _matches(name, wanted, reply), f"{name}: {wanted} was expected; {shown}"


def assert_valid_error_format(reply: Reply, shown: str) -> None:
    """Assert that the status is not 500 and that every error is a problem document."""
    assert reply.status != HTTPStatus.INTERNAL_SERVER_ERROR, shown
    if reply.status >= HTTPStatus.BAD_REQUEST:
        assert reply.media_type == PROBLEM, shown
        assert reply.document["status"] == reply.status, shown


def _matches(name: str, wanted: Any, reply: Reply) -> bool:
    match name:
        case "status":
            return reply.status in _listed(wanted)
        case "content_type":
            return bool(reply.media_type == wanted)
        case "code" | "pointer" | "parameter":
            return any(fault.get(name) == wanted for fault in faults(reply.document))
        case "result":
            return bool(reply.document["results"][0]["status"] == wanted)
        case _:
            return _document_matches(name, wanted, reply.document)


def _document_matches(name: str, wanted: Any, document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    if name.endswith("_at_least"):
        return bool(document[name.removesuffix("_at_least")] >= wanted)
    if name.endswith("_at_most"):
        return bool(document[name.removesuffix("_at_most")] <= wanted)
    if name not in document:
        raise NotExecutable(f"the response has no field {name}")
    return bool(document[name] == wanted)


def faults(document: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a response that may describe an error: the problem, its errors, the verdicts."""
    if isinstance(document, dict):
        yield document
        yield from document.get("errors", ())
        yield from document.get("results", ())


def assert_stored_endpoint(wanted: str, sent: str, stored: str, stored_of_sibling: str) -> None:
    """Compare the stored route template with the expected one. Raises AssertionError and NotExecutable."""
    if wanted.startswith("/"):
        assert stored == wanted
    elif wanted.startswith("not the same as"):
        assert stored != stored_of_sibling, f"{sent} has the same template as its sibling"
    else:
        raise NotExecutable(f"unknown form of stored_endpoint: {wanted}")


def sibling_of(endpoint: str) -> str:
    """Return a route that differs from this one in its last word."""
    return re.sub(r"[a-z]+(?=[^a-z]*$)", "siblings", endpoint)


def _listed(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]
