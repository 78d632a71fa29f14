"""Finds national ids and bank accounts by their form, their checksum, and the word before them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ingest.privacy.context import AFTER, BEFORE, words, words_before
from ingest.privacy.number_forms import NumberForm, NumberForms
from ingest.privacy.validators import is_valid

_SEPARATED: Final = re.compile(r"[\s.\-/_:]")
_JOINT: Final = r"[ .\-/_:]?"

_PERSON_WORDS: Final = words("user learner student pupil person patient employee staff member customer teacher parent")
# without "soc", which is a department too
_SSN_WORDS: Final = words("ssn social security itin taxpayer") | _PERSON_WORDS
_NO_DEPARTMENTS: Final = words("id tax ein tin sin")
_NINO_WORDS: Final = words("ni nin nino insurance ninumber nationalinsurance hmrc tax payroll") | _PERSON_WORDS

_SSN: Final = re.compile(
    rf"{BEFORE}(?<!\d[ .\-/])(?!000|666|9)\d{{3}}([ .\-_/])(?!00)\d\d\1(?!0000)\d{{4}}(?![ .\-/]?\d){AFTER}"
)
_BARE_SSN: Final = re.compile(rf"{BEFORE}(?!000|666|9)\d{{3}}(?!00)\d\d(?!0000)\d{{4}}{AFTER}")
_BARE_SSN_WORDS: Final = words("ssn social security")
_DEPARTMENTS: Final = words(
    "accounting acct anth anthropology arab arabic arch art arts astr astronomy bio biol biology bus business"
    " calc calculus chem chemistry chin chinese civ class com comm comp cours course crn crs dance dept econ"
    " economics edu educ education eng engineering engl english engr env ethics film fin finance fren french geo"
    " geog geography geol geology germ german hist history hum info intro ital italian japanese japn journ kin"
    " kurs lang latin law lesson ling lit literature log logic math mathematics maths mech med mgmt mgt mktg mus"
    " music nurs nursing nutr phil philosophy phys physics pol poli psy psyc psych psychology rel russ sci science"
    " sec sect section soc sociology span spanish stat statistics stats thea theatre writ writing"
)
_CODE_BEFORE: Final = re.compile(r"(?<![A-Za-z])([A-Za-z]{2,15})\.?[ \-_/:]?$")
_CODE_AFTER: Final = re.compile(r"[ \-_/:]([A-Za-z]{2,15})(?![A-Za-z])")
_COURSE: Final = re.compile(r"[1-8]\d\d\D[0-4]\d\D")
"""A three-digit number and a section below 50. Few social security numbers begin like this."""
_LONGEST_DEPARTMENT: Final = 8
_YEAR: Final = re.compile(r"(?:19|20)\d\d$")

_COURSES: Final = words("cs ma ph en ge ee me ch ec ps st")
"""Two-letter departments with which a National Insurance number can begin too."""

_NINO: Final = re.compile(
    r"[A-CEGHJ-PR-TW-Za-ceghj-pr-tw-z](?<![A-Za-z0-9].)(?i:[A-CEGHJ-NPR-TW-Z]([ \-]?)(\d\d)\1(\d\d)\1(\d\d)\1?[A-D])"
    r"(?![A-Za-z0-9])"
)
_UNUSED_NINO_PREFIXES: Final = words("BG GB NK KN TN NT ZZ")
"""Prefixes that no National Insurance number has."""

_CODICE_FISCALE: Final = re.compile(
    r"[A-Z][A-Z]{2}(?<![A-Za-z0-9].{3})[ .\-_/]?[A-Z]{3}[ .\-_/]?[\dLMNP-V]{2}[A-EHLMPRST][\dLMNP-V]{2}[ .\-_/]?"
    r"[A-Z][\dLMNP-V]{3}[ .\-_/]?[A-Z](?![A-Za-z0-9])",
    re.DOTALL,
)
"""Letters replace its digits when two people would have the same code."""
_SMALL_CODICE_FISCALE: Final = re.compile(
    r"[a-z][a-z]{5}\d\d(?<![A-Za-z0-9].{8})[a-ehlmprst]\d\d[a-z]\d{3}[a-z](?![A-Za-z0-9])", re.DOTALL
)
_CODICI_FISCALI: Final = (_CODICE_FISCALE, _SMALL_CODICE_FISCALE)

_DIGITS: Final = re.compile(r"\d(?:[\s.\-/_:]?\d){5,}+")
_MIN_DIGITS: Final = 6
_MIN_DIGITS_OF_IBAN: Final = 7
_MIN_DIGITS_OF_FORMS: Final = 8

_NIE: Final = re.compile(r"[XYZxyz](?<![A-Za-z0-9].)(?i:[ \-]?\d{7}[ \-]?[A-Z])(?![A-Za-z0-9])")

_FORMS: Final = NumberForms(
    (
        NumberForm("ssn", _SSN, (3,)),
        NumberForm("ssn_named", _BARE_SSN, (9,)),
        NumberForm("cpf_named", re.compile(rf"{BEFORE}\d{{11}}{AFTER}"), (11,)),
        NumberForm(
            "aadhaar_named",
            re.compile(rf"{BEFORE}\d{{4}}{_JOINT}\d{{4}}{_JOINT}\d{{4}}{AFTER}"),
            (4, 8, 12),
        ),
        NumberForm("dni_named", re.compile(rf"{BEFORE}\d{{8}}[ \-]?[A-Za-z](?![A-Za-z0-9])"), (8,)),
        NumberForm(
            "nir",
            re.compile(
                rf"{BEFORE}(?<!\d[.\-/])[12]{_JOINT}\d\d{_JOINT}[01]\d{_JOINT}(?:\d\d|2[AB]){_JOINT}\d{{3}}"
                rf"{_JOINT}\d{{3}}{_JOINT}\d\d{AFTER}"
            ),
            (1, 3, 5, 6, 7, 10, 13, 15),
        ),
        NumberForm("dni", re.compile(rf"{BEFORE}(?<!\d[.\-/])\d{{8}}[ \-]?[A-Z](?![A-Za-z0-9])"), (8,)),
        NumberForm("dni", re.compile(rf"{BEFORE}\d\d\.\d{{3}}\.\d{{3}}[ \-]?[A-Z](?![A-Za-z0-9])"), (2,)),
        NumberForm(
            "cpf", re.compile(rf"{BEFORE}(?<!\d[.\-/])\d{{3}}([ .\-_])\d{{3}}\1\d{{3}}[ .\-/_]\d\d{AFTER}"), (3,)
        ),
        NumberForm(
            "aadhaar",
            re.compile(
                rf"{BEFORE}(?<!\d[ .\-/])(?!20\d\d[.\-])[2-9]\d{{3}}([ .\-])\d{{4}}\1(?!(?:19|20)\d\d)\d{{4}}"
                rf"(?![ .\-/]?\d){AFTER}"
            ),
            (4,),
        ),
        NumberForm(
            "ric",
            re.compile(rf"{BEFORE}[1-8]\d{{5}}(?:19\d\d|200\d|201\d)[01]\d[0-3]\d{{4}}[\dXx](?![A-Za-z0-9])"),
            (17, 18),
        ),
    )
)
"""In a Chinese resident id, a birthday in the current decade is the date of an order number instead."""

_NAMED: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "cpf_named": ("cpf", words("cpf")),
    "aadhaar_named": ("aadhaar", words("aadhaar aadhar uid uidai")),
    "dni_named": ("dni", words("dni nif")),
}
"""Forms that count only after the name of the id: their checksum, and the names."""

_DATED: Final = re.compile(r"(?:19|20)\d\d[01]\d[0-3]\d|[0-3]\d[01]\d(?:19|20)\d\d")

_IBAN: Final = re.compile(
    r"[A-Za-z\u0131](?i:[A-Z])\d\d(?<![A-Za-z0-9].{4})(?i:[ .\-_/]?[A-Z0-9]{1,4}){3,10}", re.DOTALL
)
"""In upper case, a dotless i is an ASCII letter."""
_JOINTS: Final = re.compile(r"[ .\-_/]")
_IBAN_LENGTHS: Final = range(15, 35)


def has_national_id(text: str) -> bool:
    """Return whether the text contains a national id or an IBAN."""
    if any(_is_checked("codice_fiscale", found[0]) for form in _CODICI_FISCALI for found in form.finditer(text)):
        return True
    digits = max((len(_SEPARATED.sub("", found[0])) for found in _DIGITS.finditer(text)), default=0)
    return (
        (digits >= _MIN_DIGITS and any(_is_nino(text, found) for found in _NINO.finditer(text)))
        or (digits >= _MIN_DIGITS_OF_IBAN and _has_nie_or_iban(text))
        or (digits >= _MIN_DIGITS_OF_FORMS and any(_is_of_form(*each, text) for each in _FORMS.matches(text)))
    )


def _has_nie_or_iban(text: str) -> bool:
    return any(_is_checked("nie", found[0]) for found in _NIE.finditer(text)) or any(
        _begins_with_iban(found[0]) for found in _IBAN.finditer(text)
    )


def _is_of_form(name: str, found: re.Match[str], text: str) -> bool:
    if name == "ssn":
        return _is_ssn(text, found)
    if name == "ssn_named":
        return bool(words_before(text, found.start()) & _BARE_SSN_WORDS)
    if name in _NAMED:
        checksum, names = _NAMED[name]
        return bool(words_before(text, found.start()) & names) and is_valid(checksum, _compact(found[0]))
    return _is_checked(name, found[0])


def _is_ssn(text: str, found: re.Match[str]) -> bool:
    # it has no checksum; a course section has the same form and often ends in a year
    if words_before(text, found.start()) & _SSN_WORDS:
        return True
    return not _YEAR.search(found[0]) and not _is_section(text, found)


def _is_section(text: str, found: re.Match[str]) -> bool:
    """Return whether the number is a course section next to the code of its department."""
    if not _COURSE.match(found[0]):
        return False
    before = _CODE_BEFORE.search(text, max(0, found.start() - 20), found.start())
    after = _CODE_AFTER.match(text, found.end())
    return any(beside is not None and _is_department(beside[1]) for beside in (before, after))


def _is_department(word: str) -> bool:
    if word.lower() in _NO_DEPARTMENTS:
        return False
    return (word.isupper() and len(word) <= _LONGEST_DEPARTMENT) or word.lower() in _DEPARTMENTS


def _is_nino(text: str, found: re.Match[str]) -> bool:
    if found[0][:2].upper() in _UNUSED_NINO_PREFIXES:
        return False
    # it has no checksum; joined it looks like a course code, grouped like a code with a date
    if words_before(text, found.start()) & _NINO_WORDS:
        return True
    pairs = int(found[2]), int(found[3]), int(found[4])
    return (
        found[1] != ""
        and found[0].isupper()
        and not _may_be_date(*pairs)
        and not _are_consecutive(*pairs)
        and found[0][:2].lower() not in _COURSES
    )


def _are_consecutive(first: int, second: int, third: int) -> bool:
    return third - second == second - first == 1


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
    """Return whether the text begins with an IBAN that ends at a group boundary. A word may follow it."""
    number = ""
    for group in _JOINTS.split(text.upper()):
        number += group
        if len(number) in _IBAN_LENGTHS and is_valid("iban", number):
            return True
    return False
