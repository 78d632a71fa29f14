"""What stands around a number and says what it is: the word before it, and known schemes of ids. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

BEFORE: Final = r"(?:(?<![A-Za-z0-9])|(?<=[A-Za-z]{3})(?<![A-Fa-f]{3}))"
"""Start of a number: no letter or digit before it, or a joined word, which is more than two or hexadecimal letters."""

AFTER: Final = r"(?:(?![A-Za-z0-9])|(?=[A-Za-z]{3})(?![A-Fa-f]{3}))"
"""End of a number, likewise."""

_NINE_DIGITS: Final = re.compile(r"\d(?:[\s_.\-/(),:;|+~]{0,4}\d){8}")

_REACH: Final = 40
_WORD_BACKWARDS: Final = re.compile(r"\n?[\s:=#/_\-(\[]{0,3}\.?\d?([^\W\d_]{1,40}|§)")
"""The last word of a text that is read from its end: forwards each place would be tried."""

_LAST_HUMP: Final = re.compile(r"[A-Z][a-z]+$")
_COUNTERS: Final = frozenset({"number", "num", "no", "nr", "nummer", "numero", "numéro", "número"})
"""Words between the name of a number and the number."""

_KNOWN_ID: Final = re.compile(
    r"""
    \b10\.\d{4,9}/\S+                                                    # DOI
    | \b(?:isbn|issn|ismn|ean|upc|gtin|oclc|lccn|pmid|pmcid|asin|sku|hdl|ark|arxiv|cas|orcid|loinc)
      (?:-?1[03])?[\s:#/._\-]{0,3} \d[\dX\ \-./]{0,24}                       # a catalogue's name and its number
    | \burn:(?:isbn|issn|nbn|oid|doi|uuid):\S+
    """,
    re.VERBOSE | re.IGNORECASE,
)

_CATALOGUES: Final = (
    *("isbn", "issn", "ismn", "ean", "upc", "gtin", "oclc", "lccn", "pmid", "pmcid", "asin", "sku", "hdl", "ark"),
    *("10.", "arxiv", "cas", "orcid", "loinc", "urn:"),
)
"""What every such id has one of: without it the longer pattern is not tried."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def words_before(text: str, position: int) -> frozenset[str]:
    """Return the word before a place, in lower case, and its last part when it is written in camel case.

    In `phone number: 415` it is `phone`.
    """
    backwards = text[max(0, position - _REACH) : position][::-1]
    found = _WORD_BACKWARDS.match(backwards)
    if found is not None and found[1][::-1].lower() in _COUNTERS:
        found = _WORD_BACKWARDS.match(backwards, found.end()) or found
    if found is None:
        return frozenset()
    word = found[1][::-1]
    hump = _LAST_HUMP.search(word)
    return frozenset({word.lower(), hump[0].lower()} if hump else {word.lower()})


@lru_cache(maxsize=1)
def has_nine_digits(text: str) -> bool:
    """Return whether the text has what every card number and every phone number has, but a few with a country code."""
    # asked several times of one text in a row
    return _NINE_DIGITS.search(text) is not None


def ending(text: str, end: int, characters: str, longest: int) -> str:
    """Return what stands before a place of the text and is made of these characters, at most so many."""
    before = text[max(0, end - longest) : end]
    return before[len(before.rstrip(characters)) :]


def without_known_ids(text: str) -> str:
    """Return the text without ids of well-known catalogues, whose digits say nothing about a person."""
    lower = text.lower()
    return _KNOWN_ID.sub(" ", text) if any(map(lower.__contains__, _CATALOGUES)) else text
