"""What a case expects of an answer, held against it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from tests.cases.wire import NotExecutable, Reply

PROBLEM = "application/problem+json"

OF_THE_READER = frozenset({"note", "within_seconds", "stored_endpoint"})
"""Not judged here: for people, or judged by whoever plays the case."""


def assert_as_expected(expected: Mapping[str, Any], reply: Reply) -> None:
    """Hold every field of `expected` against an answer. Raises AssertionError and NotExecutable."""
    told = f"{reply.status} {reply.content[:2000].decode(errors='replace')}"
    assert_in_house_form(reply, told)
    for name, wanted in expected.items():
        if name in OF_THE_READER:
            continue
        if name == "status_not":
            assert reply.status not in _listed(wanted), told
        else:
            assert _is_wanted(name, wanted, reply), f"{name}: {wanted} is expected; {told}"


def assert_in_house_form(reply: Reply, told: str) -> None:
    """Whatever is expected: no defect, and every error is a problem document."""
    assert reply.status != HTTPStatus.INTERNAL_SERVER_ERROR, told
    if reply.status >= HTTPStatus.BAD_REQUEST:
        assert reply.media_type == PROBLEM, told
        assert reply.document["status"] == reply.status, told


def _is_wanted(name: str, wanted: Any, reply: Reply) -> bool:
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
            return _is_wanted_of_the_answer(name, wanted, reply.document)


def _is_wanted_of_the_answer(name: str, wanted: Any, document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    if name.endswith("_at_least"):
        return bool(document[name.removesuffix("_at_least")] >= wanted)
    if name.endswith("_at_most"):
        return bool(document[name.removesuffix("_at_most")] <= wanted)
    if name not in document:
        raise NotExecutable(f"the answer has no field {name}")
    return bool(document[name] == wanted)


def faults(document: Any) -> Iterator[Mapping[str, Any]]:
    """Return the places of an answer that say what is wrong: the problem, its errors, the verdicts."""
    if isinstance(document, dict):
        yield document
        yield from document.get("errors", ())
        yield from document.get("results", ())


def assert_stored_endpoint(wanted: str, sent: str, stored: str, stored_of_sibling: str) -> None:
    """Hold the stored template of a route against what is expected. Raises AssertionError and NotExecutable."""
    if wanted.startswith("/"):
        assert stored == wanted
    elif wanted.startswith("not the same as"):
        assert stored != stored_of_sibling, f"{sent} is not told from its sibling"
    else:
        raise NotExecutable(f"unknown form of stored_endpoint: {wanted}")


def sibling_of(endpoint: str) -> str:
    """Return another route under the same beginning: its last word is another one."""
    return re.sub(r"[a-z]+(?=[^a-z]*$)", "siblings", endpoint)


def _listed(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]
