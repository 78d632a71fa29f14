"""Finds in a short text what may name a person or open a door. Pure.

Patterns find candidates; what has a checksum or a registry is judged by it (python-stdnum, phonenumbers, ipaddress), so
that ordinary ids and numbers pass. An alarm, not a proof: a name written out is not recognised. See tests/corpus.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import phonenumbers
from stdnum import iban, luhn
from stdnum.br import cpf
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale

REGIONS: Final = ("US", "GB", "IT", "DE", "FR", "ES")
"""Whose phone numbers are recognised without a country code, when they are grouped as people write them."""


class Personal(StrEnum):
    """What was found."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    NATIONAL_ID = "national_id"
    IP_ADDRESS = "ip_address"
    SECRET = "secret"  # noqa: S105 - the word, not one


_SUSPICIOUS: Final = re.compile(
    r"[@:%]|[^\x00-\x7f]|\d[\W_]*\d[\W_]*\d[\W_]*\d|eyJ|[A-Za-z]{6}\d|[A-Z]{4}|[_-][A-Za-z0-9]{8}|=|\s"
)
"""What every kind has at least one of; most texts have none."""

_UUID: Final = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
"""One in a hundred thousand has digits that read like a phone number."""

_LEAST_DIGITS: Final = 10
"""Of a phone number without a country code; fewer in groups are as often a version or a place in a course."""

_EMAIL: Final = re.compile(
    r"[^\s@/,;:()<>\[\]\"=]{1,64}@((?:[^\s@/,;:()<>\[\]\"=.]{1,63}\.)+[^\s@/,;:()<>\[\]\"=.\d]{2,63})"
)
_IMAGE_SCALE: Final = re.compile(r"\d(?:\.\d)?x\.\w+")
_INTERNATIONAL: Final = re.compile(r"(?<![A-Za-z0-9+])(?:\+|00)[1-9](?:[\s().\-/]{0,2}\d){6,14}(?!\d)")
_GROUPED: Final = re.compile(r"(?<![\w.\-/])\(?\d{2,5}\)?(?:[\s.\-/]{1,2}\d{2,4}){2,4}(?![\w\-/]|\.\d)")
_CARD: Final = re.compile(r"(?<![\w.\-])\d(?:[ \-]?\d){13,15}(?![\w\-]|\.\d)")
_CARD_PREFIX: Final = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[0689]|35|6(?:011|4[4-9]|5|2)")
_IPV4: Final = re.compile(r"(?<![\w.\-])(?:\d{1,3}\.){3}\d{1,3}(?![\w\-]|\.\d)")
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])")
_LEAST_GROUPS: Final = 3

_NATIONAL_IDS: Final[tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = (
    # United States: no checksum, so only as it is written, and only numbers that may be given out
    (re.compile(r"(?<![\w\-])(?!000|666|9)\d{3}[\- ](?!00)\d{2}[\- ](?!0000)\d{4}(?![\w\-])"), lambda _number: True),
    (re.compile(r"(?<!\w)[A-Za-z]{6}\d\d[A-Za-z]\d\d[A-Za-z]\d{3}[A-Za-z](?![A-Za-z0-9])"), codicefiscale.is_valid),
    # United Kingdom, National Insurance: letters that are given out, no checksum
    (
        re.compile(
            r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"
        ),
        lambda _number: True,
    ),
    (re.compile(r"(?<![\w\-])[12] ?\d\d ?[0-1]\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d(?![\w\-])"), nir.is_valid),
    (re.compile(r"(?<![\w\-])\d{8}-?[A-Z](?!\w)"), dni.is_valid),
    (re.compile(r"(?<![\w\-])[XYZ]-?\d{7}-?[A-Z](?!\w)"), nie.is_valid),
    (re.compile(r"(?<![\w\-.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)"), cpf.is_valid),
    (re.compile(r"(?<![\w\-])\d{4} \d{4} \d{4}(?![\w\-])"), aadhaar.is_valid),
    (re.compile(r"(?<!\w)\d{17}[\dX](?!\w)"), ric.is_valid),
    (re.compile(r"(?<!\w)[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)"), iban.is_valid),
)

_SECRET: Final = re.compile(
    r"""
    eyJ[\w-]{8,}\.[\w-]{8,}                                            # a JSON Web Token
    | -----BEGIN\ [A-Z ]*(?:KEY|CERTIFICATE)
    | (?<![\w-])(?:sk|pk|rk|lap)[_-](?:live|test|proj|ant)[_-][\w-]{8,}
    | (?<![\w-])sk-[A-Za-z0-9]{20,}
    | (?<![\w-])(?:gh[opsur]|github_pat|glpat|npm|pypi|hf|dop_v1|shpat|whsec)[_-][\w-]{16,}
    | (?<![\w-])sia_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}(?!\w)
    | (?<![\w-])xox[abeprs]-[\w-]{10,}
    | (?<![\w-])(?:AKIA|ASIA)[0-9A-Z]{16}(?!\w)
    | (?<![\w-])AIza[\w-]{35}
    | (?<![\w.])ya29\.[\w-]{20,}
    | (?<![\w.])SG\.[\w-]{16,}\.[\w-]{16,}
    | (?i:(?<!\w)(?:bearer|basic)\s+[\w.~+/-]{12,}=*)
    | (?i:(?<![A-Za-z])(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|authorization|session_?id|sid)
        \s*[=:]\s*[^\s&]{6,})
    | ://[^\s/:@]*:[^\s/@]+@                                           # a URL with credentials
    """,
    re.VERBOSE,
)


def find_personal(text: str) -> Personal | None:
    """Return what of a person the text may hold, None when nothing was found."""
    # most ids of events are one, and each comes once
    return None if _UUID.fullmatch(text) else _find(text)


@lru_cache(maxsize=65_536)
def _find(text: str) -> Personal | None:
    # The same texts come again and again.
    if not _SUSPICIOUS.search(text):
        return None
    plain = _plain(text)
    for kind, holds in _DETECTORS:
        if holds(plain):
            return kind
    return None


def _plain(text: str) -> str:
    """Return the text without its disguises: percent signs, wide letters, invisible characters, dashes."""
    unquoted = unquote(unquote(text))
    if unquoted.isascii():
        # which has no other disguise
        return _UUID.sub("", unquoted)
    plain = _UUID.sub("", unicodedata.normalize("NFKC", unquoted))
    plain = "".join(one for one in plain if unicodedata.category(one) != "Cf")
    return "".join("-" if unicodedata.category(one) == "Pd" else one for one in plain)


def _has_email(text: str) -> bool:
    return any(not _IMAGE_SCALE.fullmatch(found[1]) for found in _EMAIL.finditer(text))


def _has_phone(text: str) -> bool:
    for found in _INTERNATIONAL.finditer(text):
        number = re.sub(r"^00", "+", found[0])
        if _is_number(number, None):
            return True
    return any(_is_grouped_number(found[0]) for found in _GROUPED.finditer(text))


def _is_number(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _is_grouped_number(number: str) -> bool:
    if _DATE.search(number) or sum(map(str.isdigit, number)) < _LEAST_DIGITS:
        return False
    leniency = phonenumbers.Leniency.STRICT_GROUPING
    return any(phonenumbers.PhoneNumberMatcher(number, region, leniency).has_next() for region in REGIONS)


_DATE: Final = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[\s.\-/]\d\d?[\s.\-/]\d\d?|\d\d?[\s.\-/]\d\d?[\s.\-/](?:19|20)\d\d)(?!\d)"
)


def _has_card(text: str) -> bool:
    for found in _CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _CARD_PREFIX.match(digits) and luhn.is_valid(digits):
            return True
    return False


def _has_national_id(text: str) -> bool:
    return any(is_valid(found[0]) for pattern, is_valid in _NATIONAL_IDS for found in pattern.finditer(text))


def _has_ip_address(text: str) -> bool:
    if any(_is_somebodys(found[0]) for found in _IPV4.finditer(text)):
        return True
    return any(
        sum(map(bool, found[0].split(":"))) >= _LEAST_GROUPS and _is_somebodys(found[0])
        for found in _IPV6.finditer(text)
    )


def _is_somebodys(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified)


def _has_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


_DETECTORS: Final[tuple[tuple[Personal, Callable[[str], bool]], ...]] = (
    (Personal.SECRET, _has_secret),
    (Personal.EMAIL, _has_email),
    (Personal.CARD, _has_card),
    (Personal.NATIONAL_ID, _has_national_id),
    (Personal.PHONE, _has_phone),
    (Personal.IP_ADDRESS, _has_ip_address),
)
