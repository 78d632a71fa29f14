"""Tables for `str.translate` that compute each character once, at its first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MOST: Final = 10_000
"""Maximum number of cached characters: more than senders use, at little memory."""


class CharacterTable(dict[int, str | None]):
    """Maps each character to its replacement; None removes it."""

    def __init__(self, form: Callable[[str], str | None]) -> None:
        """`form` returns the replacement of a character."""
        super().__init__()
        self._form = form

    def __missing__(self, code: int) -> str | None:
        if len(self) >= _MOST:
            # a table full of rare characters would slow down the common ones
            self.clear()
        form = self[code] = self._form(chr(code))
        return form
