"""Finds card numbers: the prefix and length of a network, and the Luhn checksum. Pure."""

from __future__ import annotations

import re
from operator import lt
from typing import Final

from ingest.privacy.context import AFTER, BEFORE, has_nine_digits
from ingest.privacy.number_forms import NumberForm, NumberForms
from ingest.privacy.validators import is_valid

_SEPARATOR: Final = r"(?:\s{1,2}|\s?[\-./_,:;|+~]{1,2}\s?)"
_GROUPED: Final = re.compile(
    rf"{BEFORE}(?<!\d[\s\-./_,:;|+~])(?:"
    rf"\d{{4}}(?:{_SEPARATOR}\d{{4}}){{3}}(?!{_SEPARATOR}\d{{4}}(?<!19\d\d)(?<!20\d\d)(?!\d))"
    rf"|3\d{{3}}(?:{_SEPARATOR}\d{{4}}){{2}}{_SEPARATOR}\d{{3}}"
    rf"|3\d{{3}}{_SEPARATOR}\d{{6}}{_SEPARATOR}\d{{4,5}}"
    rf"|\d{{8}}{_SEPARATOR}\d{{8}}"
    rf"|\d{{6}}{_SEPARATOR}\d{{10}}"
    rf"){AFTER}"
)
_IN_A_LIST: Final = re.compile(r"[,;|+]")
_BARE: Final = re.compile(rf"{BEFORE}(?<!\d\.)\d{{14,16}}{AFTER}(?!\.\d)")
_FORMS: Final = NumberForms((NumberForm("grouped", _GROUPED, (4, 6, 8)), NumberForm("bare", _BARE, range(14, 17))))
_SHORTEST_LIST: Final = 3
_DIGITS: Final = re.compile(r"\d+")
_NO_DIGIT: Final = re.compile(r"\D+")
_NETWORK: Final = re.compile(
    r"(?:4\d|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|6011|64[4-9]|65|35(?:2[89]|[3-8])|62)\d+(?<=^\d{16})"
    r"|3[47]\d{13}"
    r"|3(?:0[0-5]|6\d|8\d)\d{11}"
)
"""Visa, Mastercard, Discover, JCB and UnionPay have 16 digits, American Express 15, Diners Club 14."""


def has_card(text: str) -> bool:
    """Return whether the text contains a card number, grouped or as a separate number."""
    return has_nine_digits(text) and any(
        _is_card(_NO_DIGIT.sub("", found[0])) and not _is_list(found[0]) for _, found in _FORMS.matches(text)
    )


def _is_list(text: str) -> bool:
    """Return whether the groups are a list of ascending numbers, as in `4101, 4102, 4107, 4110`."""
    groups = _DIGITS.findall(text)
    return len(groups) >= _SHORTEST_LIST and _IN_A_LIST.search(text) is not None and all(map(lt, groups, groups[1:]))


def _is_card(digits: str) -> bool:
    return _NETWORK.fullmatch(digits) is not None and is_valid("luhn", digits)
