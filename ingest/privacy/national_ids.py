"""Finds national ids and bank accounts by their form, checksum, and the word beside them. Pure."""

from __future__ import annotations

import re
from typing import Final

from ingest.privacy.context import AFTER, BEFORE, words, words_before
from ingest.privacy.validators import is_valid

_SEPARATED: Final = re.compile(r"[\s.\-/_]")
_JOINT: Final = r"[ .\-/_]?"

_PERSON_WORDS: Final = words("user learner student pupil person patient employee staff member customer teacher parent")
# "SOC", "TAX" and "ID" are departments too
_SSN_WORDS: Final = words("ssn social security itin taxpayer") | _PERSON_WORDS
_NINO_WORDS: Final = words("ni nin nino insurance ninumber nationalinsurance hmrc tax payroll") | _PERSON_WORDS

_SSN: Final = re.compile(
    rf"{BEFORE}(?<!\d[ .\-/])(?!000|666|9)\d{{3}}([ .\-_/])(?!00)\d\d\1(?!0000)\d{{4}}(?![ .\-/]?\d){AFTER}"
)
_BARE_SSN: Final = re.compile(rf"{BEFORE}(?!000|666|9)\d{{3}}(?!00)\d\d(?!0000)\d{{4}}{AFTER}")
_COURSE_BEFORE: Final = re.compile(r"(?<![A-Za-z])[A-Z]{2,8}\.?[ \-_/:]?$")
_YEAR: Final = re.compile(r"(?:19|20)\d\d$")

_NINO: Final = re.compile(
    r"(?<![A-Za-z0-9])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]([ \-]?)(\d\d)\1(\d\d)\1(\d\d)\1[A-D]"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)

_CODICE_FISCALE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{3} ?[A-Z]{3} ?[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2} ?[A-Z][\dLMNP-V]{3} ?[A-Z]"
    r"|[a-z]{6}\d\d[a-ehlmprst]\d\d[a-z]\d{3}[a-z])(?![A-Za-z0-9])"
)
"""Letters may stand for its digits, where two people would have the same."""

_SIX_DIGITS: Final = re.compile(r"\d(?:[\s.\-/_]?\d){5}")
_SEVEN_DIGITS: Final = re.compile(r"\d(?:[\s.\-/_]?\d){6}")

_CHECKED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "nir",
        re.compile(
            rf"{BEFORE}(?<!\d[.\-/])[12]{_JOINT}\d\d{_JOINT}[01]\d{_JOINT}(?:\d\d|2[AB]){_JOINT}\d{{3}}{_JOINT}\d{{3}}"
            rf"{_JOINT}\d\d{AFTER}"
        ),
    ),
    ("dni", re.compile(rf"{BEFORE}(?<!\d[.\-/])\d{{8}}[ \-]?[A-Z](?![A-Za-z0-9])")),
    ("dni", re.compile(rf"{BEFORE}\d\d\.\d{{3}}\.\d{{3}}[ \-]?[A-Z](?![A-Za-z0-9])")),
    ("nie", re.compile(r"(?<![A-Za-z0-9])[XYZ][ \-]?\d{7}[ \-]?[A-Z](?![A-Za-z0-9])", re.IGNORECASE)),
    ("cpf", re.compile(rf"{BEFORE}(?<!\d[.\-/])\d{{3}}([ .\-_])\d{{3}}\1\d{{3}}[ .\-/_]\d\d{AFTER}")),
    ("aadhaar", re.compile(rf"{BEFORE}(?<!\d[ .\-/])[2-9]\d{{3}} \d{{4}} \d{{4}}(?![ .\-/]?\d){AFTER}")),
    (
        "ric",
        re.compile(rf"{BEFORE}[1-8]\d{{5}}(?:19\d\d|200\d|201\d)[01]\d[0-3]\d{{4}}[\dX](?![A-Za-z0-9])", re.IGNORECASE),
    ),
)
"""Numbers with a checksum. In a resident id of China, a birthday of this decade is the date of an order instead."""

_DATED: Final = re.compile(r"(?:19|20)\d\d[01]\d[0-3]\d|[0-3]\d[01]\d(?:19|20)\d\d")

_CALLED: Final[tuple[tuple[str, frozenset[str], re.Pattern[str]], ...]] = (
    ("cpf", frozenset({"cpf"}), re.compile(rf"{BEFORE}\d{{11}}{AFTER}")),
    (
        "aadhaar",
        frozenset({"aadhaar", "aadhar", "uid", "uidai"}),
        re.compile(rf"{BEFORE}\d{{4}}{_JOINT}\d{{4}}{_JOINT}\d{{4}}{AFTER}"),
    ),
    ("dni", frozenset({"dni", "nif"}), re.compile(rf"{BEFORE}\d{{8}}[ \-]?[A-Za-z](?![A-Za-z0-9])")),
)
"""Forms that only count behind the name of the id."""

_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?:[ \-]?[A-Z0-9]{1,4}){3,10}", re.IGNORECASE)
_GROUP_END: Final = re.compile(r"[ \-]")
_IBAN_LENGTHS: Final = range(15, 35)


def has_national_id(text: str) -> bool:
    """Return whether the text holds a national id or an IBAN."""
    if any(_is_checked("codice_fiscale", found[0]) for found in _CODICE_FISCALE.finditer(text)):
        return True
    if not _SIX_DIGITS.search(text):
        return False
    if any(_is_nino(text, found) for found in _NINO.finditer(text)):
        return True
    return _SEVEN_DIGITS.search(text) is not None and (
        any(_is_ssn(text, found) for found in _SSN.finditer(text))
        or any(words_before(text, found.start()) & {"ssn", "social", "security"} for found in _BARE_SSN.finditer(text))
        or any(_is_checked(name, found[0]) for name, pattern in _CHECKED for found in pattern.finditer(text))
        or any(
            words_before(text, found.start()) & names and is_valid(name, _compact(found[0]))
            for name, names, pattern in _CALLED
            for found in pattern.finditer(text)
        )
        or any(_begins_with_iban(found[0]) for found in _IBAN.finditer(text))
    )


def _is_ssn(text: str, found: re.Match[str]) -> bool:
    # it has no checksum: a section of a course has the same form, and often ends in a year
    if words_before(text, found.start()) & _SSN_WORDS:
        return True
    return not _YEAR.search(found[0]) and not _COURSE_BEFORE.search(text[max(0, found.start() - 12) : found.start()])


def _is_nino(text: str, found: re.Match[str]) -> bool:
    # it has no checksum: joined it looks like the code of a course, in groups like one with a date
    if words_before(text, found.start()) & _NINO_WORDS:
        return True
    return found[1] != "" and found[0].isupper() and not _may_be_date(int(found[2]), int(found[3]), int(found[4]))


def _may_be_date(first: int, second: int, third: int) -> bool:
    return (first <= 31 and second <= 12) or (first <= 12 and second <= 31) or (second <= 12 and third <= 31)


def _is_checked(name: str, text: str) -> bool:
    number = _compact(text)
    if name == "dni" and _DATED.match(number):
        return False
    return is_valid(name, number)


def _compact(text: str) -> str:
    return _SEPARATED.sub("", text).upper()


def _begins_with_iban(text: str) -> bool:
    """Return whether an IBAN ends at one of the ends of a group: what follows may be another word."""
    number = ""
    for group in _GROUP_END.split(text.upper()):
        number += group
        if len(number) in _IBAN_LENGTHS and is_valid("iban", number):
            return True
    return False
