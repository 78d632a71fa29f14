"""A text always costs the same: work is counted by what is done, and never by a clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ingest.privacy.detectors import _find
from ingest.privacy.own_id import _key, searchable_text
from ingest.privacy.templates import template_of
from ingest.work import WORK


@pytest.mark.parametrize(
    ("function", "text", "units"),
    [
        (_find, "lesson-7", 3),
        (_find, "x" * 80, 12),
        (_find, "course v1 " * 10, 70),
        (_find, "12345678", 3),
        (_find, "call 415 555 2671 or 0039 333 1234567", 151),
        (_find, "\u4e00" * 30, 39),
        (_find, "%41%42%43%44%45%46", 21),
        (_find, "%41%42%43%44%45", 18),
        (_find, "\u4e00" * 31, 39),
        (_find, "4111 1111 1111 1111, 93.184.216.34", 55),
        (_find, "password=correcthorsebatterystaple", 34),
        (_find, "state: " + "a" * 64, 45),
        (searchable_text, "lesson-7", 4),
        (searchable_text, "x" * 80, 13),
        (searchable_text, "\u00fc" * 80, 43),
        (searchable_text, "a%20b", 5),
        (_key, "lesson-7", 0),
        (_key, "Ada Lovelace", 16),
        (_key, "\u00fc" * 80, 55),
        (template_of, "/a", 5),
        (template_of, "/users/17/courses", 9),
        (template_of, "/" + "x" * 200, 55),
    ],
)
def test_the_work_of_a_text_is_counted(function: Callable[[str], object], text: str, units: int) -> None:
    # what was seen before may be cached
    function(text)
    before = WORK.units
    function(text)
    assert WORK.units - before == units
