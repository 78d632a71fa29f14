"""A document that is read element by element is what a parser of JSON reads, except for its bad elements."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.effort import run_at_once
from ingest.parsing.json_elements import TOO_DEEP, TOO_LARGE, read_document
from ingest.work import WORK
from schemas.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES
from tests.support.messages import is_sentence
from web.problems import Refusal

FULL = ",".join(["0"] * MAX_BATCH_EVENTS)
LARGE = "x" * MAX_EVENT_BYTES
DEEP = "[" * 5_000 + "]" * 5_000

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("events"), inner),
    max_leaves=30,
)


def read(text: str, key: str = "events") -> Any:
    return run_at_once(read_document(text, key))


@given(documents, st.sampled_from([(",", ":"), (", ", ": "), (" \t,\r\n", " \n:\t")]), st.sampled_from([None, 1]))
def test_a_document_is_read_as_a_parser_reads_it(
    document: Any, separators: tuple[str, str], indent: int | None
) -> None:
    text = json.dumps(document, separators=separators, indent=indent)
    assert read(text) == document
    assert read(f" \t{text}\r\n ") == document


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[ ]",
        "{}",
        "{ }",
        '{"events":[]}',
        '{"events": [ ] }',
        '{"a":1,"a":2}',
        '{"events":{"events":[1]},"b":[2]}',
        "-1.5e3",
        "[" + "1" * 4_095 + "]",
        "[" + "1" * 4_096 + "]",
        "[" + "1" * 4_097 + "]",
        "1" * 4_096,
        '["' + "x" * 4_094 + '"]',
        '["' + "x" * 4_095 + '",{"a":"' + "y" * 20_000 + '"},2]',
        '["' + "x" * (MAX_EVENT_BYTES - 3) + '",2]',
    ],
    ids=lambda text: f"{text[:20]} {len(text)}",
)
def test_the_size_of_an_element_does_not_matter_up_to_the_largest_event(text: str) -> None:
    assert read(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("", "Expecting value", 0),
        ("  ", "Expecting value", 2),
        ("nothing", "Expecting value", 0),
        ("[", "Expecting value", 1),
        ("[1,", "Expecting value", 3),
        ("[1,]", "Expecting value", 3),
        ("[,1]", "Expecting value", 1),
        ("[1 2]", "Expecting ',' delimiter", 3),
        ("[1", "Expecting ',' delimiter", 2),
        ("[1}", "Expecting ',' delimiter", 2),
        ("[tru]", "Expecting value", 1),
        ("[1,?]", "Expecting value", 3),
        ("[1] x", "Extra data", 4),
        ("[1]]", "Extra data", 3),
        ('{"a":1} 2', "Extra data", 8),
        ("1 2", "Extra data", 2),
        ("{}x", "Extra data", 2),
        ('{"a":1}x', "Extra data", 7),
        (f"[{FULL}]x", "Extra data", 2 * MAX_BATCH_EVENTS + 1),
        (f'{{"events":[{FULL}]?', "Expecting ',' delimiter", 2 * MAX_BATCH_EVENTS + 11),
        ('[["' + "y" * 1_022, "Unterminated string starting at", 2),
        ('[{"a" 1' + " " * (MAX_EVENT_BYTES - 7) + "}]", "Expecting ':' delimiter", 6),
        ("{", "Expecting property name enclosed in double quotes", 1),
        ("{1:2}", "Expecting property name enclosed in double quotes", 1),
        ('{"a":1,}', "Expecting property name enclosed in double quotes", 7),
        ('{"a" 1}', "Expecting ':' delimiter", 5),
        ('{"a"', "Expecting ':' delimiter", 4),
        ('{"a":', "Expecting value", 5),
        ('{"a":1 "b":2}', "Expecting ',' delimiter", 7),
        ('{"a":1', "Expecting ',' delimiter", 6),
        ('["abc', "Unterminated string starting at", 1),
        (f'[{{"a":"{LARGE}', "Unterminated value starting at", 1),
        (f'[0,"{LARGE}', "Unterminated value starting at", 3),
        (f"[{FULL}?", "Expecting ',' delimiter", 2 * MAX_BATCH_EVENTS),
        ('[{"a":1},{"b":2 "c":3}]', "Expecting ',' delimiter", 16),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_document_that_is_no_json_is_refused_with_its_first_fault(text: str, message: str, position: int) -> None:
    with pytest.raises(json.JSONDecodeError) as refused:
        read(text)
    assert (refused.value.msg, refused.value.pos) == (message, position)
    assert refused.value.doc == text


BAD_ELEMENTS = {
    "a long string": (f'"{LARGE}"', TOO_LARGE),
    "a string one character too long": ('"' + LARGE[1:] + '"', TOO_LARGE),
    "a long string of escapes": ('"' + '\\"' * MAX_EVENT_BYTES + '"', TOO_LARGE),
    "a long string of backslashes": ('"' + "\\\\" * MAX_EVENT_BYTES + '"', TOO_LARGE),
    "a long number": ("1" * (MAX_EVENT_BYTES + 1), TOO_LARGE),
    "a long object": ('{"a":[' + "[1,{}]," * 10_000 + "0]}", TOO_LARGE),
    "brackets in a string": ('{"a":"' + "[{" * 20_000 + '"}', TOO_LARGE),
    "closing brackets in a string": ('{"a":"' + "]}" * 20_000 + '"}', TOO_LARGE),
    "brackets after an escaped quote": ('["' + "x" * 1_022 + '\\"]' + LARGE + '"]', TOO_LARGE),
    "brackets in a key": ('{"' + "]}" * 20_000 + '":0}', TOO_LARGE),
    "letters of every kind": ('["' + "\u00fc\u4e00\U0001f600]" * 10_000 + '"]', TOO_LARGE),
    "letters beside strings": ("[" + "\u00fc" * MAX_EVENT_BYTES + "]", TOO_LARGE),
    "a fault in a large object": ('{"a" 1' + " " * (MAX_EVENT_BYTES - 6) + "}", TOO_LARGE),
    "nested too deep": (DEEP, TOO_DEEP),
    "nested too deep in an object": ('{"a":' * 5_000 + "0" + "}" * 5_000, TOO_DEEP),
}


@pytest.mark.parametrize(("element", "rejection"), BAD_ELEMENTS.values(), ids=BAD_ELEMENTS)
def test_a_bad_element_is_skipped_and_its_neighbours_are_read(element: str, rejection: object) -> None:
    assert read(f"[1, {element} , 2]") == [1, rejection, 2]
    assert read(f"[{element}]") == [rejection]
    assert read(f'{{"events":[{element},3],"b":4}}') == {"events": [rejection, 3], "b": 4}
    assert read(f'{{"data":[{element},3]}}', key="data") == {"data": [rejection, 3]}
    assert read(f'{{"a":{element},"b":4}}') == {"a": rejection, "b": 4}


def test_an_array_is_read_element_by_element_only_under_the_key() -> None:
    array = f'[1,"{LARGE}"]'
    assert read(f'{{"events":{array}}}') == {"events": [1, TOO_LARGE]}
    assert read(f'{{"others":{array}}}') == {"others": TOO_LARGE}


def test_the_rejections_say_what_an_event_may_be() -> None:
    assert (TOO_LARGE.code, TOO_LARGE.pointer) == ("event_too_large", "")
    assert (TOO_DEEP.code, TOO_DEEP.pointer) == ("nesting_too_deep", "")


@given(st.text(alphabet='\\"[]{}a\u00fc\n', min_size=1, max_size=60), st.integers(0, 3))
def test_whatever_a_large_text_holds_it_ends_where_it_ends(piece: str, shift: int) -> None:
    large = json.dumps({"a": "x" * shift + piece * (1 + MAX_EVENT_BYTES // len(piece))}, ensure_ascii=False)
    assert read(f"[{large},7]") == [TOO_LARGE, 7]
    assert read(f"[[{large}],7]") == [TOO_LARGE, 7]


@pytest.mark.parametrize(
    ("digits", "number"),
    [("9" * 5_000, math.inf), ("-" + "9" * 5_000, math.inf), ("1" * 25 + "e0", float("1" * 25))],
    ids=["positive", "negative", "exponent"],
)
def test_a_number_with_more_digits_than_are_converted_is_infinite(digits: str, number: float) -> None:
    assert read(f"[{digits},5]") == [number, 5]


def test_long_numbers_beside_one_that_is_not_converted_are_infinite_from_26_digits() -> None:
    [numbers] = read(f"[[{'9' * 5_000},{'8' * 25},{'8' * 26}]]")
    assert numbers == [math.inf, int("8" * 25), math.inf]


def test_no_more_elements_are_read_than_one_above_the_limit() -> None:
    assert len(read(f"[{FULL}]")) == MAX_BATCH_EVENTS
    assert len(read(f"[{FULL},0,?")) == MAX_BATCH_EVENTS + 1
    assert len(read(f'{{"events":[{FULL}],"b":1}}')["events"]) == MAX_BATCH_EVENTS
    assert len(read(f'{{"events":[{FULL},0,?')["events"]) == MAX_BATCH_EVENTS + 1


@pytest.mark.parametrize("text", ['{"events":[1],"events":[2]}', '{"events":1,"a":0,"events":2}'])
def test_the_array_of_events_is_given_once(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(text)
    assert (refused.value.status, refused.value.code) == (HTTPStatus.BAD_REQUEST, "invalid_envelope")
    assert is_sentence(refused.value.detail)


def test_an_object_may_have_a_thousand_names() -> None:
    names = ",".join(f'"k{number}":{number}' for number in range(1_000))
    assert len(read(f"{{{names}}}")) == 1_000
    with pytest.raises(Refusal) as refused:
        read(f'{{{names},"k":0}}')
    assert (refused.value.status, refused.value.code) == (HTTPStatus.BAD_REQUEST, "invalid_envelope")
    assert is_sentence(refused.value.detail)
    assert "1000" in refused.value.detail


def turns_and_units(text: str) -> tuple[int, int]:
    """Return how often others may run while a document is read, and the work of reading it."""
    before = WORK.units
    turns = len(list(read_document(text, "events")))
    return turns, WORK.units - before


@pytest.mark.parametrize(
    ("text", "turns", "units"),
    [
        ("1", 1, 2),
        ("[]", 0, 0),
        ("[1,2,3]", 3, 6),
        ('{"a":1,"events":[1,2]}', 5, 12),
        (f'["{"x" * 1_000}"]', 1, 17),
        (f'["{"x" * 10_000}"]', 1, 66 + 158),
        ('[["' + "x" * 1_021 + "\\n" + "x" * 40_000 + '"]]', 5, 2_564),
    ],
)
def test_others_may_run_after_each_element_and_the_work_is_counted(text: str, turns: int, units: int) -> None:
    assert turns_and_units(text) == (turns, units)


def test_the_work_of_a_document_that_is_no_json_is_counted() -> None:
    before = WORK.units
    with pytest.raises(json.JSONDecodeError):
        read('["' + "x" * 5_000)
    assert WORK.units - before == 146


def test_skipping_an_element_lets_others_run_and_costs_by_its_length() -> None:
    assert turns_and_units('["' + "x" * 1_000_000 + '"]') == (0, 66 + 514)
    assert turns_and_units("[[" + "[]," * 300_000 + "0]]") == (31, 55_812)
