"""Tells the fixed words of a route from the ids in a path. Pure.

A word may have a number in it (`oauth2`, `i18n`, `sha256`, `v1beta1`). An id is recognized by its digits: a number on
its own, three or more digits in a row, or several numbers between letters. What the rules cannot tell apart is taken
for an id, because one template too few costs less than one learner too many.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_WORD: Final = 32
_LONGEST_QUALIFIED_NAME: Final = 128

_DIGIT: Final = re.compile(r"\d")
_PART: Final = re.compile(r"[^\W_]+")

_QUALIFIED_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
"""Such as the full name of a gRPC service."""

_VERSION: Final = re.compile(
    r"(?:v|lti)\d{1,3}(?:[.p]\d{1,3}){0,2}(?:[-.]?(?:p\d{1,2})?(?:alpha|beta|rc|preview)\d{0,2})?|v(?:19|20)\d\d-\d\d(?:-\d\d)?",
    re.IGNORECASE,
)
_BARE_VERSION: Final = re.compile(r"\d|\d{1,2}(?:\.\d{1,3}){1,2}|(?:19|20)\d\d-\d\d(?:-\d\d)?")
"""Only behind a segment of API."""
API: Final = frozenset({"api", "apis", "rest"})

_WORD_WITH_NUMBER: Final = re.compile(r"[A-Za-z]+\d{1,2}")
_CAMEL_CASE: Final = re.compile(r"[A-Z]{0,5}[a-z]+(?:[A-Z][a-z]+)*\d{1,2}(?:[A-Z][a-z]{2,})+")
"""`GetOauth2Token`."""
_NUMERONYM: Final = re.compile(r"[a-z]\d{1,2}[a-z]|[A-Z]\d{1,2}[A-Z]")
_ORDINAL: Final = re.compile(r"\d?1st|\d?2nd|\d?3rd|\d{1,2}th", re.IGNORECASE)
_STANDARD: Final = re.compile(
    r"(?:sha|hs|rs|es|ps|aes|hmac)(?:128|192|224|256|384|512)|rsa(?:1024|2048|3072|4096)|p(?:256|384|521)"
    r"|x(?:264|265|400|500|509|25519)|ed25519|secp256[kr]1|h(?:26[1-6]|32\d)|av1|rfc\d{3,4}|iso\d{3,5}|ieee\d{3,4}"
    r"|cp\d{3,4}|ecma\d{3}|es20[12]\d|(?:office|m|d|o)365|scorm2004|iso88591",
    re.IGNORECASE,
)
_NAMES: Final = re.compile(
    r"[23]fa|[1-4]d|[48]k|[2-6]g|3ds|2step|(?:2|12)factor|7z(?:ip)?|b2b2c|l2cap|a2dp|r2dbc|i386|rs(?:232|485)|jpeg2000"
    r"|mp4a|m3u8|utf(?:8|16|32)|base64|utf8mb4|neo4j|(?:log|slf)4j|web2py|gpt\d?4o|[dp]\d?js|covid19|(?:word|node|wav)2vec2?|peer2peer"
    r"|(?:html|csv|json|xml|pdf|text|txt|speech|image|md)2(?:html|csv|json|xml|pdf|text|txt|speech|image|md)",
    re.IGNORECASE,
)
"""Words that no rule here covers."""

_KIND_OF_THING: Final = re.compile(
    r"(?:user|usr|uid|id|student|pupil|learner|teacher|member|customer|client|account|acct|person|profile|org|tenant"
    r"|school|class|classroom|team|group|course|lesson|module|unit|chapter|section|topic|material|quiz|exam|question"
    r"|answer|assignment|submission|attempt|session|item|order|invoice|product|sku|post|comment|thread|ticket|task"
    r"|issue|project|doc|document|file|image|img|photo|video|upload|badge|room|event|job|run|build|device|row"
    r"|guest|anon|visitor|object|entity|record|entry|resource|asset|block|page|test)\d+",
    re.IGNORECASE,
)
"""`course42` is one of the courses."""

_HEX: Final = re.compile(r"(?=.*\d)[0-9a-f]{6,}|(?=.*\d)[0-9A-F]{6,}")
_HUMP: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_VOWEL: Final = re.compile(r"[aeiouy]", re.IGNORECASE)
_NO_LETTERS: Final = re.compile(r"[^A-Za-z]+")
_UNSPEAKABLE: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{7}")
_SHORTEST_RANDOM: Final = 7
_MOST_ODD_HUMPS: Final = 2


def is_word(segment: str, *, is_behind_api: bool = False) -> bool:
    """Return whether a decoded segment of a path is part of the route, and not an id.

    A bare number can be a version where it `is_behind_api`, or whatever else is in API.
    """
    if len(segment) > LONGEST_WORD and not (
        len(segment) <= _LONGEST_QUALIFIED_NAME and _QUALIFIED_NAME.fullmatch(segment)
    ):
        return False
    if segment.isdecimal():
        # most ids are a number, and most of them are new
        return is_behind_api and _BARE_VERSION.fullmatch(segment) is not None
    if _is_random(segment):
        return False
    if not _DIGIT.search(segment):
        return True
    if _VERSION.fullmatch(segment) or (is_behind_api and _BARE_VERSION.fullmatch(segment)):
        return True
    joined = segment.replace("-", "")
    if _NAMES.fullmatch(joined) or _STANDARD.fullmatch(joined):
        return True
    return all(_is_word_part(part) for part in _PART.findall(segment))


def _is_word_part(part: str) -> bool:
    if not _DIGIT.search(part) or _NAMES.fullmatch(part) or _STANDARD.fullmatch(part):
        return True
    if _KIND_OF_THING.fullmatch(part) or _HEX.fullmatch(part):
        return False
    return any(form.fullmatch(part) for form in (_WORD_WITH_NUMBER, _VERSION, _NUMERONYM, _ORDINAL, _CAMEL_CASE))


def _is_random(segment: str) -> bool:
    """Return whether letters look drawn by lot: words have vowels, and names in camel case have few short humps."""
    if len(segment) < _SHORTEST_RANDOM:
        return False
    if _UNSPEAKABLE.search(segment):
        return True
    if segment.islower() or segment.isupper():
        return False
    letters = _NO_LETTERS.sub("", segment)
    if len(letters) < _SHORTEST_RANDOM:
        return False
    odd = sum(len(hump) <= 2 or not _VOWEL.search(hump) for hump in _HUMP.findall(letters))
    return odd > _MOST_ODD_HUMPS
