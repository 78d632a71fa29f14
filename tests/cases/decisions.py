"""Expected results that the case file leaves open. They match the documents."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from tests.cases.case import Case
from tests.cases.wire import NotExecutable, Reply, exchange
from tests.support.assembled import Assembled
from tests.support.reading import PROGRESS

ACCEPTED: Mapping[str, Any] = MappingProxyType({"status": 202})

BY_KIND: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "false positive: bare numbers are no cards": ACCEPTED,
        "numeric ids": ACCEPTED,
        "scores as they are": ACCEPTED,
        "ids that stand for nobody": {"code": "placeholder_id"},
    }
)
"""Additional expected fields, by the kind of the case. A field of the case itself has precedence."""

INSTEAD: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
"""Expected results that replace those of the case, by case id."""


def expected_result(case: Case) -> Mapping[str, Any]:
    """Return the expected result of a case. Raises NotExecutable if there is none that can be checked."""
    if case.id in INSTEAD:
        return INSTEAD[case.id]
    expected = {**BY_KIND.get(case.kind, {}), **case.expected}
    if set(expected) == {"note"} and case.kind not in _CHECKED_KINDS:
        raise NotExecutable(f"{case.id} has only a note as its expected result: {expected['note']}")
    return expected


async def assert_special_case(case: Case, steps: list[Mapping[str, Any]], reply: Reply, system: Assembled) -> None:
    """Check expectations that are not fields of the response. Raises AssertionError."""
    if case.kind == "one learner, two spellings":
        await _assert_one_learner(steps, system)
    elif case.kind == "Segment: session ids":
        _assert_session_id_is_recognized(reply)


_CHECKED_KINDS = ("one learner, two spellings", "Segment: session ids")


async def _assert_one_learner(steps: list[Mapping[str, Any]], system: Assembled) -> None:
    """All Unicode forms of an id are one learner with each achievement once and the sum of the XP."""
    await system.settled()
    events = [step["json"] for step in steps if step["service"] == "ingest"]
    achievements = {_composed(event["properties"].get("achievement_id", "")) for event in events} - {""}
    xp = sum(event["properties"].get(name, 0) for event in events for name in ("xp_amount", "xp_reward"))
    assert len({_composed(event["user_id"]) for event in events}) == 1
    for user_id in {event["user_id"] for event in events}:
        path = f"{PROGRESS}?user_id={quote(user_id)}"
        progress = (
            await exchange(system, {"service": "dashboard", "method": "GET", "path": path, "auth": "read"})
        ).document
        assert {one["achievement_id"] for one in progress["achievements"]} == achievements
        assert len(progress["achievements"]) == len(achievements)
        assert progress["current_xp"] == xp


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _assert_session_id_is_recognized(reply: Reply) -> None:
    """The event is accepted, or its session id is rejected by value. It is not an unknown property."""
    verdict = reply.document["results"][0]
    assert verdict["status"] == "accepted" or (
        verdict["pointer"].endswith("session_id") and verdict["code"] != "unknown_property"
    ), verdict
