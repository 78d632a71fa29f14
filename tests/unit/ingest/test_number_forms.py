"""Numbers of several forms are found in one pass, each form only where its first group of digits may begin."""

from __future__ import annotations

import re

import pytest

from ingest.privacy.national_ids import _may_be_date
from ingest.privacy.number_forms import PARENTHESIS, NumberForm, NumberForms
from ingest.work import WORK

PAIR = NumberForm("pair", re.compile(r"\d\d-\d\d"), (2,))
AREA = NumberForm("area", re.compile(r"\(\d\d\)\d\d"), (PARENTHESIS,))
ANY = NumberForm("any", re.compile(r"\d+"), range(1, 4))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("no number", []),
        ("12-34", [("pair", "12-34"), ("any", "12"), ("any", "34")]),
        ("12-34-56", [("pair", "12-34"), ("any", "12"), ("any", "34"), ("any", "56")]),
        (
            "12-34 56-78",
            [("pair", "12-34"), ("any", "12"), ("any", "34"), ("pair", "56-78"), ("any", "56"), ("any", "78")],
        ),
        ("(12)34", [("area", "(12)34"), ("any", "12"), ("any", "34")]),
        ("1234-56", [("any", "56")]),
    ],
)
def test_each_form_is_found_where_its_first_group_has_its_length(text: str, found: list[tuple[str, str]]) -> None:
    forms = NumberForms([PAIR, AREA, ANY])
    assert [(name, match[0]) for name, match in forms.matches(text)] == found


def test_two_forms_of_one_name_are_two_forms() -> None:
    forms = NumberForms([ANY, ANY._replace(pattern=re.compile(r"\d"))])
    assert [match[0] for _, match in forms.matches("12")] == ["12", "1"]


def test_the_work_is_that_of_the_forms_that_are_tried() -> None:
    before = WORK.units
    list(NumberForms([PAIR, AREA, ANY]).matches("12 (x) 123 1234"))
    assert WORK.units - before == 4


@pytest.mark.parametrize(
    ("numbers", "is_date"),
    [
        ((31, 12, 99), True),
        ((32, 12, 99), False),
        ((12, 31, 99), True),
        ((13, 31, 99), False),
        ((12, 32, 99), False),
        ((99, 12, 31), True),
        ((99, 13, 31), False),
        ((99, 12, 32), False),
        ((31, 13, 99), False),
    ],
)
def test_three_numbers_may_be_a_date(numbers: tuple[int, int, int], is_date: bool) -> None:
    assert _may_be_date(*numbers) is is_date
