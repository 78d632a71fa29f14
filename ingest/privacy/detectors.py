"""Finds personal data and secrets in a short text.

The text is first decoded and normalized. Each kind then has a module of its own: a pattern finds candidates, and a
checksum, a registry or the adjacent words decide. The search is a heuristic: a written-out name is not recognised.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from ingest.privacy.cards import has_card
from ingest.privacy.context import without_known_ids
from ingest.privacy.credentials import has_secret
from ingest.privacy.disguises import is_uuid, plain, without_digests, without_uuids
from ingest.privacy.emails import has_email
from ingest.privacy.ip_addresses import has_ip_address
from ingest.privacy.national_ids import has_national_id
from ingest.privacy.personal import Personal
from ingest.privacy.phones import has_phone
from ingest.privacy.validators import TooManyCandidates
from ingest.work import LONGEST_CACHED, WORK

__all__ = ["Personal", "find_personal"]

_ODD: Final = re.compile(r"[^A-Za-z0-9_.\-/]")
"""A character that most ids do not have. Most disguises and separators do."""

_SUSPICIOUS: Final = re.compile(
    r"\d(?:[_.\-/]{0,2}\d){5}|\d\.\d+\.\d+\.\d|[_.\-](?=[a-z]{0,40}[A-Z0-9])[A-Za-z0-9]{10}|[A-Z]{4}"
    r"|[A-Za-z]{6}\d\d[A-Za-z]\d|sk-|pk-|rk-|xox|xapp|SK[0-9a-fA-F]|eyJ|ZXlK|A3-|AIza|AKCp|ATATT|cmVmd|dapi|4b1d|-us\d|[_\-][Aa][Tt][_\-]|-----"
)
"""Without an odd character, a text must contain one of these to be of any kind. Most ids contain none."""

_LENGTHS_OF_NUMBERS: Final = frozenset({14, 15, 16, 18})
"""A bare number is found only as a card or a national id of these lengths. Most numeric ids have other lengths."""

_UNITS_OF_A_TEXT: Final = 12
_NO_DIGITS: Final = dict.fromkeys(map(ord, string.digits))

_OF_NUMBERS: Final[tuple[tuple[Personal, Callable[[str], bool]], ...]] = (
    (Personal.CARD, has_card),
    (Personal.NATIONAL_ID, has_national_id),
    (Personal.PHONE, has_phone),
    (Personal.IP_ADDRESS, has_ip_address),
)


def find_personal(text: str) -> Personal | None:
    """Return the kind of personal data that the text may contain; None if none was found. Never raises."""
    if is_uuid(text):
        # most event ids are UUIDs, and each occurs once, so a cache would not help
        return None
    return _find_recent(text) if len(text) <= LONGEST_CACHED else _find(text)


def _find(text: str) -> Personal | None:
    WORK.units += len(text) // 8 + 2
    if not _ODD.search(text) and not _SUSPICIOUS.search(text):
        return None
    if text.isdecimal() and len(text) not in _LENGTHS_OF_NUMBERS:
        return None
    WORK.candidates = 0
    candidate = plain(text)
    WORK.units += _UNITS_OF_A_TEXT + len(candidate) // 4 + (0 if text.isascii() else len(text) // 3)
    if has_secret(candidate):
        return Personal.SECRET
    candidate = without_uuids(candidate)
    if has_email(candidate):
        return Personal.EMAIL
    candidate = without_digests(without_known_ids(candidate))
    WORK.units += len(candidate) // 6 + (len(candidate) - len(candidate.translate(_NO_DIGITS))) // 3
    return next((kind for kind, holds in _OF_NUMBERS if _holds(holds, candidate)), None)


_find_recent: Final = lru_cache(maxsize=32_768)(_find)


def _holds(holds: Callable[[str], bool], candidate: str) -> bool:
    try:
        return holds(candidate)
    except TooManyCandidates:
        # text that is not checked may be personal
        return True
