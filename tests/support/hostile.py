"""A text that tries to control the terminal on which it is shown."""

from __future__ import annotations

import unicodedata
from typing import Final

HOSTILE: Final = (
    "x\x1b]0;title\x07\x1b[2J\x9b31m\x08\x7f\x85\u202e\u2066\u061c\u200f\u200b\ufeff\u2028\u2029\U000e0041"
    "[red]b[/red][link=http://x]c[/]:smile:\r\nanalytics: all is well\t"
)
"""Escape sequences of C0 and C1, directional controls, invisible characters, markup, and a forged line."""

_SHOWN_WITH_CARE: Final = frozenset(("Cc", "Cf", "Zl", "Zp"))


def steering(text: str) -> list[str]:
    """Return the characters of an output that do not belong in one line of text."""
    return [char for char in text if char != "\n" and unicodedata.category(char) in _SHOWN_WITH_CARE]
