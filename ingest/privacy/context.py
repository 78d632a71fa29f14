"""The context of a number that says what it is: the word before it, and known schemes of ids. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

BEFORE: Final = r"(?:(?<![A-Za-z0-9])|(?<=[A-Za-z]{3})(?<![A-Fa-f]{3}))"
"""Start of a number: no letter or digit before it, or an adjoining word of three or more letters that is not hex."""

AFTER: Final = r"(?:(?![A-Za-z0-9])|(?=[A-Za-z]{3})(?![A-Fa-f]{3}))"
"""End of a number, by the same rule."""

_NINE_DIGITS: Final = re.compile(r"\d(?:[\s_.\-/(),:;|+~]{0,4}\d){8}")

_REACH: Final = 40
_WORD_BACKWARDS: Final = re.compile(r"\n?[\s:=#/_\-(\[]{0,3}\.?\d?([^\W\d_]{1,40}|§)")
"""The last word of a text, matched on the reversed text: a forward search would try every position."""

_LAST_HUMP: Final = re.compile(r"[A-Z][a-z]+$")
_COUNTERS: Final = frozenset({"number", "num", "no", "nr", "nummer", "numero", "numéro", "número"})
"""Words that may be between the name of a number and the number."""

_KNOWN_ID: Final = re.compile(
    r"""
    \b10\.\d{4,9}/\S+                                                    # DOI
    | \b(?:isbn|issn|ismn|ean|upc|gtin|oclc|lccn|pmid|pmcid|asin|sku|hdl|ark|arxiv|cas|orcid|loinc)
      (?:-?1[03])?[\s:#/._\-]{0,3} \d[\dX\ \-./]{0,24}                       # the name of a catalogue and a number
    | \burn:(?:isbn|issn|nbn|oid|doi|uuid):\S+
    """,
    re.VERBOSE | re.IGNORECASE,
)

_CATALOGUES: Final = (
    *("isbn", "issn", "ismn", "ean", "upc", "gtin", "oclc", "lccn", "pmid", "pmcid", "asin", "sku", "hdl", "ark"),
    *("10.", "arxiv", "cas", "orcid", "loinc", "urn:"),
)
"""Every such id contains one of these. Without one, the longer pattern is not tried."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def words_before(text: str, position: int) -> frozenset[str]:
    """Return the word before a position, in lower case, and its last part if it is in camel case.

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
    """Return whether the text can contain a card number or a phone number, except a few short international ones."""
    # cached: called several times for one text
    return _NINE_DIGITS.search(text) is not None


def ending(text: str, end: int, characters: str, longest: int) -> str:
    """Return the run of these characters that ends at a position, at most `longest` characters."""
    before = text[max(0, end - longest) : end]
    return before[len(before.rstrip(characters)) :]


def without_known_ids(text: str) -> str:
    """Return the text without ids of well-known catalogues. Their digits identify no person."""
    lower = text.lower()
    return _KNOWN_ID.sub(" ", text) if any(map(lower.__contains__, _CATALOGUES)) else text
