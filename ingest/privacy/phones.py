"""Finds phone numbers: with a country code, in a usual grouping, or after a word such as `phone`. Pure."""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from ingest.privacy.context import AFTER, BEFORE, has_nine_digits, words, words_before
from ingest.privacy.number_forms import PARENTHESIS, NumberForm, NumberForms
from ingest.privacy.validators import REGIONS, is_valid

_PLUS: Final = re.compile(r"(?<![A-Za-z0-9+])\+[1-9](?:[\s().\-/_]{0,3}\d){6,14}(?!\d)")
_ZEROS: Final = re.compile(
    rf"{BEFORE}(?<!\d[.\-/])00\s?([1-9]\d{{0,2}})(?:[ .\-/]{{1,2}}\(?\d{{1,10}}\)?){{1,6}}(?![.\-/]?\d)"
)
_INTERNATIONAL: Final = NumberForms([NumberForm("zeros", _ZEROS, range(2, 6))])
_GAP: Final = re.compile(r"\d[^\dA-Za-z]{1,3}\d")
_BARE: Final = NumberForms([NumberForm("bare", re.compile(rf"{BEFORE}\d{{9,15}}{AFTER}"), range(9, 16))])
_NO_DIGIT: Final = re.compile(r"\D")
_LAST_GROUP: Final = re.compile(r"[\s().\-/_]{1,8}\d{1,15}$")

_START: Final = rf"{BEFORE}(?<!\d[ .\-/])"
_END: Final = rf"(?:(?![ .\-/]?\d)|(?=[ .\-/_](?:19|20)\d\d(?!\d))){AFTER}"
_JOINT: Final = r"(?: ?[.\-/_] ?| )"
_OPEN: Final = r"(?:\) ?[\-/]? ?| ?[.\-/_] ?| )"
"""Separators between the area code, perhaps in parentheses, and the rest."""

_FORMS: Final = NumberForms(
    NumberForm(region, re.compile(f"{_START}(?:{form}){_END}"), first_group)
    for region, form, first_group in (
        ("us", rf"(?:1{_JOINT})?\(?[2-9]\d\d{_OPEN}[2-9]\d\d{_JOINT}\d{{4}}", (PARENTHESIS, 1, 3)),
        ("us", r"(?:\([2-9]\d\d\) ?|[2-9]\d\d )[2-9]\d{6}", (PARENTHESIS, 3)),
        ("gb", rf"\(?0[1-9]\d{_OPEN}\d{{4}}{_JOINT}\d{{4}}", (PARENTHESIS, 3)),
        ("gb", rf"\(?0[1-9]\d\d{_OPEN}\d{{3}}{_JOINT}\d{{4}}", (PARENTHESIS, 4)),
        ("gb", rf"\(?0[1-9]\d{{3}}{_OPEN}\d{{3}}{_JOINT}?\d{{2,3}}", (PARENTHESIS, 5)),
        ("it", rf"3\d\d{_JOINT}\d{{3}}{_JOINT}?\d{{4}}", (3,)),
        ("it", rf"3\d\d{_JOINT}\d\d{_JOINT}\d\d{_JOINT}\d{{3}}", (3,)),
        ("it", rf"\(?0[1-9]\d{{0,2}}{_OPEN}[1-9]\d{{2,3}}{_JOINT}?\d{{3,5}}", (PARENTHESIS, 2, 3, 4)),
        ("de", r"\(?0[1-9]\d{1,4}(?:\) ?| ?[/\-] ?| )[1-9]\d{2,8}(?:[ \-]\d{1,5})?", (PARENTHESIS, 3, 4, 5, 6)),
        ("de", r"\(?0[1-9]\d{1,3}(?:\) ?| ?[/\-] ?| )[1-9]\d{1,2}(?: \d{2,3}){2,3}", (PARENTHESIS, 3, 4, 5)),
        ("fr", rf"0[1-9](?:{_JOINT}\d\d){{4}}", (2,)),
        ("es", rf"[6-9]\d\d{_JOINT}\d\d{_JOINT}\d\d{_JOINT}\d\d", (3,)),
        ("es", rf"9\d{{1,2}}{_JOINT}\d{{2,3}}{_JOINT}\d\d{_JOINT}\d\d", (2, 3)),
        ("es", r"[6-9]\d\d \d{3} (?!000)\d{3}(?<!\d00 \d00 \d00)", (3,)),
    )
)
_MIN_DIGITS: Final = 9
_DATE: Final = re.compile(r"(?<!\d)(?:19|20)\d\d(?:[ .\-/_]?[01]\d[ .\-/_]?[0-3]\d)?(?!\d)")
_PAIR: Final = re.compile(r"(?<!\d)\d\d(?!\d)")
_LARGEST_PLACE: Final = 31
"""If no pair of digits exceeds this, the pairs are dates, hours or lesson numbers."""

_WORDS: Final = words(
    "tel telephone phone phonenumber mobile cell cellphone fax sms whatsapp handy telefon telefono"
    " telefonnummer movil móvil teléfono téléphone tél tfno cellulare portable gsm landline callback rufnummer ph"
    " handynummer mobil mobilnummer"
)


def has_phone(text: str) -> bool:
    """Return whether the text contains a phone number."""
    if "+" in text and any(_is_international(found[0]) for found in _PLUS.finditer(text)):
        return True
    if not has_nine_digits(text):
        return False
    if any(_is_called_phone(text, found) for _, found in _BARE.matches(text)):
        return True
    return _GAP.search(text) is not None and (
        any(
            int(found[1]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE and _is_international("+" + found[0][2:])
            for _, found in _INTERNATIONAL.matches(text)
        )
        or any(_is_national(text, found, region) for region, found in _FORMS.matches(text))
    )


def _is_international(number: str) -> bool:
    # a year or another number may follow it; in this order, so that a text always costs the same
    forms = dict.fromkeys((number, _LAST_GROUP.sub("", number)))
    return any(is_valid("phone", "+" + _NO_DIGIT.sub("", written)) for written in forms)


def _is_national(text: str, found: re.Match[str], region: str) -> bool:
    number = found[0]
    if sum(map(str.isdigit, number)) < _MIN_DIGITS:
        return False
    is_called = bool(words_before(text, found.start()) & _WORDS)
    if not is_called and (_DATE.search(number) or _is_place(number)):
        return False
    return is_valid(f"phone_{region}", _NO_DIGIT.sub("", number))


def _is_place(number: str) -> bool:
    pairs = _PAIR.findall(number)
    return len(pairs) > 3 and all(int(pair) <= _LARGEST_PLACE for pair in pairs)


def _is_called_phone(text: str, found: re.Match[str]) -> bool:
    if not words_before(text, found.start()) & _WORDS:
        return False
    number = found[0]
    if number.startswith("00"):
        return is_valid("phone", "+" + number[2:])
    return any(is_valid(f"phone_{region.lower()}", number) for region in REGIONS)
