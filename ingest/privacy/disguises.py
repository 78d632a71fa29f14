"""Removes encodings and look-alike characters, so that detectors see plain text. Pure."""

from __future__ import annotations

import re
import unicodedata
from html import unescape
from typing import Final
from urllib.parse import unquote

from schemas.character_tables import CharacterTable
from schemas.compatibility import nfkc

_MAX_LAYERS: Final = 5
"""Maximum layers of percent-encoding: every system that a text passes through may add one."""

_UUID: Final = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f])")
"""One UUID in a hundred thousand has digits that look like a phone number."""

_DIGEST: Final = re.compile(r"(?<![0-9A-Za-z+])(?<!\d[ .\-/()])(?=\d{0,31}[a-f])[0-9a-f]{32,}(?![0-9A-Za-z])")
"""A hash in hexadecimal, or a UUID without hyphens. No personal number has this form."""

_ESCAPED: Final = re.compile(r"(?:[\\%]u(?:\{0{0,4}|00)|\\x\{?|U\+00)([2-7][0-9A-Fa-f])\}?")
"""A printable ASCII character in the escaped forms of programs: with a backslash, with `%u`, or as `U+0040`."""

_FULL_STOPS: Final = "\u3002\uff61"
"""Chinese and Japanese full stops, which browsers accept as the dot of a domain."""


def is_uuid(text: str) -> bool:
    """Return whether the whole text is a UUID with hyphens."""
    return _UUID.fullmatch(text) is not None


def plain(text: str) -> str:
    """Return the text decoded, in NFKC, with ASCII digits and hyphens, without invisible characters."""
    for _ in range(_MAX_LAYERS):
        decoded = _unescaped(text)
        if decoded == text:
            break
        text = decoded
    if text.isascii() or (text := nfkc(text)).isascii():
        return text
    return text.translate(_ASCII_FORMS)


def _unescaped(text: str) -> str:
    if "\\" in text or "%u" in text or "U+" in text:
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return unescape(unquote(text)) if "%" in text or "&" in text else text


def without_uuids(text: str) -> str:
    """Return the text with each UUID replaced by a blank."""
    return _UUID.sub(" ", text)


def without_digests(text: str) -> str:
    """Return the text with a blank for each run of 32 or more lower-case hexadecimal digits that has a letter."""
    return _DIGEST.sub(" ", text)


def _ascii_form(character: str) -> str:
    match unicodedata.category(character):
        case "Cf":
            return ""
        case "Pd":
            return "-"
        case "Nd":
            return str(unicodedata.decimal(character))
        case _:
            return "." if character in _FULL_STOPS else character


_ASCII_FORMS: Final = CharacterTable(_ascii_form)
