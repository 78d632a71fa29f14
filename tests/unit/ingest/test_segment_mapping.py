"""The event type of a Segment event is never guessed, and a faulty mapping file prevents the start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.segment.mapping import EventMapping, parse_mapping, read_mapping
from runtime.errors import ConfigurationError
from schemas.catalogue import EventType

NONE = EventMapping({})

LESSON = {"event_type": "material_view", "properties": {"lesson_id": "material_id"}, "ignore": ["title"]}


def type_of(name: str, mapping: EventMapping = NONE) -> EventType | None:
    rule = mapping.rule_for(name)
    return rule.event_type if rule else None


@pytest.mark.parametrize("name", ["session_start", "Session Start", "session-start", "sessionStart", "SESSION START"])
def test_a_name_may_differ_in_case_and_what_separates_its_words(name: str) -> None:
    assert type_of(name) is EventType.SESSION_START


@given(st.sampled_from(EventType), st.data())
def test_every_way_to_write_the_name_of_a_type_is_that_type(event_type: EventType, data: st.DataObject) -> None:
    words = [data.draw(st.sampled_from([word, word.title(), word.upper()])) for word in event_type.value.split("_")]
    assert type_of(data.draw(st.sampled_from(["_", "-", " ", ""])).join(words)) is event_type


@given(st.text())
def test_any_other_name_has_no_type(name: str) -> None:
    letters = "".join(one for one in name if one not in " _-").lower()
    known = letters in {one.value.replace("_", "") for one in EventType}
    assert (type_of(name) is not None) == known


@pytest.mark.parametrize("name", ["Session Started", "session", "start session", "session.start", "", "Lesson Viewed"])
def test_similar_names_have_no_type(name: str) -> None:
    assert type_of(name) is None


def test_a_file_says_what_other_names_are_exactly_as_they_are_written(tmp_path: Path) -> None:
    place = tmp_path / "mapping.json"
    place.write_text(json.dumps({"Lesson Viewed": LESSON, "Session End": {"event_type": "session_start"}}))
    mapping = read_mapping(str(place))
    assert type_of("Lesson Viewed", mapping) is EventType.MATERIAL_VIEW
    assert type_of("lesson viewed", mapping) is None
    # the mapping file takes precedence over the name of a type
    assert type_of("Session End", mapping) is EventType.SESSION_START
    assert type_of("session_end", mapping) is EventType.SESSION_END


BAD: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "not a JSON object of rules"),
    "no object": ("[]", "dictionary"),
    "a rule is no object": ({"A": 1}, "A"),
    "no type": ({"Lesson Viewed": {}}, "Lesson Viewed: event_type"),
    "unknown type": ({"Lesson Viewed": {"event_type": "lesson_view"}}, "Lesson Viewed: event_type"),
    "unknown key": ({"Lesson Viewed": LESSON | {"propertys": {}}}, "Lesson Viewed: propertys"),
    "unknown property": (
        {"Lesson Viewed": LESSON | {"properties": {"lesson_id": "lesson"}}},
        "material_view has no lesson; its properties are duration_seconds, material_id",
    ),
    "mapped and ignored": (
        {"Lesson Viewed": LESSON | {"ignore": ["lesson_id"]}},
        "lesson_id cannot be both mapped and ignored",
    ),
    "a rule twice": ('{"A": {"event_type": "level_up"}, "A": {"event_type": "level_up"}}', "same name twice"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD.keys())
def test_a_fault_in_the_file_is_said_with_the_setting_the_file_and_the_place(content: Any, said: str) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(ConfigurationError) as caught:
        parse_mapping(text, "/etc/mapping.json")
    assert said in str(caught.value)
    assert "ANALYTICS_SEGMENT_MAPPING" in str(caught.value)
    assert "/etc/mapping.json" in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for place in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(ConfigurationError, match=r"ANALYTICS_SEGMENT_MAPPING: .* cannot be read"):
            read_mapping(str(place))
