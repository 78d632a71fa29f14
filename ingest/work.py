"""Counts the work that texts of senders cause, in units of about a microsecond."""

from __future__ import annotations

from typing import Final

LONGEST_CACHED: Final = 128
"""Maximum length of a text whose results are cached, in characters. It bounds the memory that senders can fill."""


def is_odd(text: str) -> bool:
    """Return whether the cost of a text grows with each character: it is not ASCII, or encoded."""
    return not text.isascii() or "%" in text or "&" in text


class Work:
    """Units of work done by this process. Never decreases."""

    __slots__ = ("candidates", "units")

    def __init__(self) -> None:
        self.units = 0
        self.candidates = 0
        """Numbers of the current text that were passed to a validator."""


WORK: Final = Work()
