"""No pattern that is applied to text of senders takes time that grows faster than the text.

Only here and in test_linear_scans.py do tests depend on time: on the ratio of two measurements in the same run, each
repeated.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingest.privacy.allow_list import LONGEST_TEXT, AllowList
from runtime.errors import ConfigurationError
from tests.support.pattern_ambiguity import ambiguities
from tests.support.pattern_attacks import slowness
from tests.support.pattern_walk import Found, all_patterns, compiled_in_functions, inline_calls, modules
from web.routing import pattern_of

PATTERNS = all_patterns()

COMPILED_IN_FUNCTIONS = {
    "web.routing.pattern_of": "of the templates of our own routes; one like them is timed",
    "ingest.privacy.allow_list._compiled": "of operators; by its form it makes few attempts on a short text",
}

KNOWN_BAD = {
    "nested repeats": (r"(a+)+b", "search"),
    "repeats side by side": (r"a*a*b", "fullmatch"),
    "a repeat behind what it takes too": (r".*x.*y", "search"),
    "counted repeats of a repeat": (r"(?:a+){2}b", "fullmatch"),
    "a string that never ends": (r'[\[{]|"(?:[^"\\]+|\\.)*"', "finditer"),
    "a string that never ends, with nothing given back": (r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"', "finditer"),
    "a long beginning at each place": (r"\d+x", "search"),
    "alternatives that begin alike": (r"(?:a|aa)*c", "match"),
}
AMBIGUOUS = (
    "nested repeats",
    "repeats side by side",
    "a repeat behind what it takes too",
    "counted repeats of a repeat",
)
KNOWN_GOOD = (
    r"(?:a+b)+",
    r"(?:a++)*+b",
    r"\d+\.\d+",
    r"(?:[A-Z][a-z]+)*\d",
    r"(?>a+)a*b",
    r"\d*(?:-\d+)*",
    r"[a-z]{1,64}x",
)


@pytest.mark.parametrize("found", PATTERNS, ids=[one.place for one in PATTERNS])
def test_time_grows_no_faster_than_the_text(found: Found) -> None:
    assert [slow for method in found.methods if (slow := slowness(found.pattern, method))] == []


@pytest.mark.parametrize("found", PATTERNS, ids=[one.place for one in PATTERNS])
def test_no_two_repeats_can_trade_characters(found: Found) -> None:
    assert ambiguities(found.pattern) == []


@pytest.mark.parametrize("kind", KNOWN_BAD)
def test_the_timing_finds_what_is_known_to_be_slow(kind: str) -> None:
    pattern, method = KNOWN_BAD[kind]

    assert slowness(re.compile(pattern), method) is not None


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_the_lint_finds_what_is_known_to_be_ambiguous(kind: str) -> None:
    assert ambiguities(re.compile(KNOWN_BAD[kind][0])) != []


@pytest.mark.parametrize("pattern", KNOWN_GOOD)
def test_the_lint_takes_what_is_known_to_be_linear(pattern: str) -> None:
    assert ambiguities(re.compile(pattern)) == []


def test_patterns_are_found_wherever_they_are_kept() -> None:
    places = {one.place for one in PATTERNS}

    assert {
        "ingest.privacy.phones._FORMS",  # in tuples
        "schemas.dead_letter._FORMS",  # as bound methods in a dictionary
        "ingest.acceptance.accept._UUID7",
        "studyin_analytics.route_template._PLACEHOLDER",
    } <= places


def test_no_pattern_is_compiled_where_the_walk_does_not_see_it() -> None:
    assert inline_calls() == []


def test_each_pattern_that_a_function_compiles_is_listed_with_its_reason() -> None:
    assert compiled_in_functions() == COMPILED_IN_FUNCTIONS.keys()


def test_the_matcher_of_a_route_is_linear() -> None:
    matcher = pattern_of("/api/{one}/of/{another}/end")

    assert ambiguities(matcher) == []
    assert slowness(matcher, "fullmatch") is None


@pytest.mark.parametrize("pattern", ["[a-z]*[a-z]*[a-z]*x", "(?:a+)+x", "(a|b)*c", "a{1,99}a{1,99}a{1,99}x", r"(a)\1"])
def test_operators_patterns_that_may_take_long_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="may take long"):
        AllowList({"event_id": [pattern]}, frozenset({"event_id"}))


def test_operators_patterns_are_tried_on_short_texts_only() -> None:
    allowed = AllowList({"event_id": ["[a-z]+"]}, frozenset({"event_id"}))

    assert allowed.allows("event_id", "a" * LONGEST_TEXT)
    assert not allowed.allows("event_id", "a" * (LONGEST_TEXT + 1))


def test_models_use_the_engine_that_is_linear() -> None:
    users = [module.__name__ for module in modules() if "python-re" in Path(module.__file__ or "").read_text("utf-8")]

    assert users == []
