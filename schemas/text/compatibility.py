"""The compatibility form of Unicode (NFKC), with a bound on the growth of a text. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

_PHRASES: Final = {0xFDFA: " ", 0xFDFB: " "}
"""Arabic ligatures that expand to 18 and 8 characters. They are not part of an id or a number."""


def nfkc(text: str) -> str:
    """Return the text in NFKC, at most six times as long. A ligature of a whole phrase becomes a space."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text.translate(_PHRASES))
