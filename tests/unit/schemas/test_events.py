"""The event a sender posts: strict types, no unknown keys, nothing personal invited."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError

from schemas.catalogue import CATALOGUE, LEARNER_EVENTS
from schemas.envelope_fields import _COMMON_SESSION_ID, _COMMON_USER_ID, OpaqueSession, id_text
from schemas.events import EVENT, MODELS, AnyEvent
from schemas.text.placeholders import is_placeholder
from schemas.two_forms import first_fault
from tests.support.events import COMPLETE


def parsed(**event: Any) -> AnyEvent:
    return EVENT.validate_json(json.dumps(event))


def faults(**event: Any) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as error:
        parsed(**event)
    fault = first_fault(error.value)
    return [(fault.kind, tuple(fault.location[1:]))]


def test_every_type_has_a_model() -> None:
    names = {name: get_args(model.model_fields["event_type"].annotation) for name, model in MODELS.items()}
    assert names == {name: (name,) for name in CATALOGUE}
    assert set(COMPLETE) == set(CATALOGUE)


@pytest.mark.parametrize("event_type", COMPLETE)
def test_every_documented_property_is_accepted_and_kept(event_type: str) -> None:
    event = parsed(event_type=event_type, user_id="u", properties=COMPLETE[event_type])
    assert event.properties.model_dump() == COMPLETE[event_type]


@pytest.mark.parametrize("event_type", COMPLETE)
def test_an_unknown_property_is_named(event_type: str) -> None:
    properties = COMPLETE[event_type] | {"email": "x"}
    assert ("extra_forbidden", ("properties", "email")) in faults(
        event_type=event_type, user_id="u", properties=properties
    )


@pytest.mark.parametrize("event_type", COMPLETE)
def test_learner_events_require_a_user_id_and_platform_events_do_not(event_type: str) -> None:
    if event_type in LEARNER_EVENTS:
        assert ("missing", ("user_id",)) in faults(event_type=event_type, properties=COMPLETE[event_type])
    else:
        assert parsed(event_type=event_type, properties=COMPLETE[event_type]).user_id is None


@pytest.mark.parametrize(
    ("event_type", "name", "value"),
    [
        ("xp_earned", "xp_amount", -1),
        ("xp_earned", "xp_amount", 1.5),
        ("xp_earned", "xp_amount", True),
        ("xp_earned", "xp_amount", "10"),
        ("xp_earned", "source", "a\u0000b"),
        ("xp_earned", "source", ""),
        ("xp_earned", "source", "x" * 513),
        ("xp_earned", "source", 17),
        ("xp_earned", "xp_amount", 10.5),
        ("xp_earned", "xp_amount", 1e300),
        ("material_view", "progress_percentage", 100.1),
        ("material_view", "duration_seconds", -1),
        ("material_view", "duration_seconds", float("nan")),
        ("material_complete", "score", float("inf")),
        ("material_complete", "score", 1_000.1),
        ("material_complete", "score", -1_000.1),
        ("ai_feedback_rated", "rating", 6),
        ("api_request", "status_code", 99),
        ("api_request", "method", "BREW"),
        ("level_up", "new_level", 0),
    ],
)
def test_a_value_out_of_range_is_pointed_at(event_type: str, name: str, value: object) -> None:
    found = faults(event_type=event_type, user_id="u", properties=COMPLETE[event_type] | {name: value})
    assert [location for _, location in found] == [("properties", name)]


WHOLE = [
    (event_type, name, value)
    for event_type, properties in COMPLETE.items()
    for name, value in properties.items()
    if "integer" in json.dumps(CATALOGUE[event_type].properties.model_json_schema()["properties"][name])
]


@pytest.mark.parametrize(("event_type", "name", "value"), WHOLE)
def test_a_whole_number_may_be_written_with_a_zero_fraction(event_type: str, name: str, value: int) -> None:
    event = parsed(event_type=event_type, user_id="u", properties=COMPLETE[event_type] | {name: float(value)})
    assert f'"{name}":{value}' in event.properties.to_json()


def test_every_kind_of_whole_number_is_among_them() -> None:
    assert {name for _, name, _ in WHOLE} >= {
        "xp_amount",
        "new_level",
        "streak_days",
        "rating",
        "status_code",
        "tokens",
        "results_count",
    }


@pytest.mark.parametrize("score", [-1_000, -25, 0, 100, 115, 1_000])
def test_a_score_may_lie_beyond_0_to_100(score: float) -> None:
    event = parsed(event_type="material_complete", user_id="u", properties={"material_id": "m", "score": score})
    assert event.properties.model_dump()["score"] == score


@pytest.mark.parametrize("version", [1, 1.0, None])
def test_schema_version_1_is_the_default(version: object) -> None:
    assert parsed(event_type="session_start", user_id="u", schema_version=version).schema_version == 1


@pytest.mark.parametrize("version", [0, 2, 1.5, "1"])
def test_another_version_of_the_schema_is_refused(version: object) -> None:
    assert faults(event_type="session_start", user_id="u", schema_version=version)[0][1] == ("schema_version",)


@pytest.mark.parametrize("timestamp", [1_700_000_000, "2026-01-01T00:00:00", "yesterday", ""])
def test_a_timestamp_needs_rfc_3339_with_an_offset(timestamp: object) -> None:
    found = faults(event_type="session_start", user_id="u", timestamp=timestamp)
    assert [location for _, location in found] == [("timestamp",)]


PLACES = ["Z", "z", "+00:00", "-00:00", "+14:00", "+13:59", "+12:45", "+05:30", "-12:00", "-11:59", "-03:30"]
NO_PLACES = ["+14:01", "+14:30", "+15:00", "+23:59", "-12:01", "-13:00", "-23:59", "+05:60", "+5:30", "+0530", "+05"]


@pytest.mark.parametrize("offset", PLACES)
def test_an_offset_that_some_place_has_is_taken(offset: str) -> None:
    event = parsed(event_type="session_start", user_id="u", timestamp=f"2026-01-01T00:00:00{offset}")
    assert event.timestamp == datetime.fromisoformat(f"2026-01-01T00:00:00{offset.upper()}")


@pytest.mark.parametrize("offset", NO_PLACES)
def test_an_offset_that_no_place_has_is_refused(offset: str) -> None:
    found = faults(event_type="session_start", user_id="u", timestamp=f"2026-01-01T00:00:00{offset}")
    assert found == [("datetime_parsing", ("timestamp",))]


SESSION = "0190163d-8694-439b-aea5-966c26f8ad91"


@pytest.mark.parametrize(
    "sent", [SESSION, SESSION.upper(), SESSION.replace("-", ""), f"urn:uuid:{SESSION}", f"{{{SESSION}}}"]
)
def test_a_session_may_be_a_uuid_in_any_form_and_is_kept_in_one(sent: str) -> None:
    assert parsed(event_type="session_start", user_id="u", session_id=sent).session_id == SESSION


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a", "a"),
        ("1763942400", "1763942400"),
        (1763942400, "1763942400"),
        (17.0, "17"),
        (f"{SESSION}0", f"{SESSION}0"),
        (f"{{{SESSION}", f"{{{SESSION}"),
        (SESSION.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"), SESSION.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}")),
        ("caf\u0065\u0301", "caf\u00e9"),
        ("x" * 128, "x" * 128),
    ],
)
def test_any_other_text_or_whole_number_is_the_name_of_a_session(sent: object, name: str) -> None:
    assert parsed(event_type="session_start", user_id="u", session_id=sent).session_id == OpaqueSession(name)


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ("", "string_too_short"),
        ("x" * 129, "string_too_long"),
        (f"{SESSION}\n", "string_pattern_mismatch"),
        ("null", "placeholder_id"),
        ("00000000-0000-0000-0000-000000000000", "placeholder_id"),
        ("0" * 32, "placeholder_id"),
        (0, "placeholder_id"),
        (True, "id_type"),
        (1.5, "id_type"),
        ([SESSION], "id_type"),
    ],
)
def test_an_invalid_session_id_is_one_fault(sent: Any, fault: str) -> None:
    assert faults(event_type="session_start", user_id="u", session_id=sent) == [(fault, ("session_id",))]


@pytest.mark.parametrize(
    ("sent", "text"),
    [(42, "42"), (42.0, "42"), (9_999_999, "9999999"), (-7, "-7"), (10**25 - 1, "9" * 25), (2.0**52, str(2**52))],
)
def test_a_learner_may_be_named_by_a_whole_number(sent: float, text: str) -> None:
    assert parsed(event_type="session_start", user_id=sent).user_id == text


@pytest.mark.parametrize("user_id", ["a", "ada@example.com", "a b", "\u0f40", "x" * 512, "|", "7", "0x", "ID-1"])
def test_a_learner_may_be_named_by_any_text(user_id: str) -> None:
    assert parsed(event_type="session_start", user_id=user_id).user_id == user_id


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        (True, "id_type"),
        (1.5, "id_type"),
        (2.0**53, "id_type"),
        (1e300, "id_type"),
        (10**25, "id_type"),
        ([1], "id_type"),
        ({}, "id_type"),
        ("", "string_too_short"),
        ("x" * 513, "string_too_long"),
        ("1" * 513, "string_too_long"),
        ("a\x00b", "string_pattern_mismatch"),
        ("1\n", "string_pattern_mismatch"),
        (0, "placeholder_id"),
        (-0.0, "placeholder_id"),
        (-1, "placeholder_id"),
        ("undefined", "placeholder_id"),
    ],
)
def test_an_invalid_user_id_is_one_fault(sent: object, fault: str) -> None:
    assert faults(event_type="session_start", user_id=sent) == [(fault, ("user_id",))]


@given(st.from_regex(_COMMON_USER_ID, fullmatch=True) | st.from_regex(_COMMON_SESSION_ID, fullmatch=True))
def test_ids_of_a_common_form_are_not_placeholders(text: str) -> None:
    assert not is_placeholder(text)


def exactly(text: str) -> str | None:
    try:
        return id_text(text)
    except (PydanticCustomError, PydanticKnownError):
        return None


@given(st.text(alphabet="aZ09-_.@ \u00e9\x00", max_size=6))
def test_the_common_form_of_an_id_is_only_a_shortcut(text: str) -> None:
    try:
        taken = parsed(event_type="session_start", user_id=text).user_id
    except ValidationError:
        taken = None
    assert taken == exactly(text)
