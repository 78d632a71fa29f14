"""The compatibility form of Unicode (NFKC) of a text that somebody else wrote. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

_PHRASES: Final = {0xFDFA: " ", 0xFDFB: " "}
"""Ligatures of Arabic that stand for 18 and 8 characters: no part of an id or a number."""


def nfkc(text: str) -> str:
    """Return the text in NFKC, at most six times as long; a ligature of a whole phrase becomes a blank."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text.translate(_PHRASES))
