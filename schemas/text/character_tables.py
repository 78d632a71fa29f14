"""Tables for `str.translate` that learn characters as they meet them: a character of a text costs little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MOST: Final = 10_000
"""Characters a table remembers: more than senders use, and little memory."""


class CharacterTable(dict[int, str | None]):
    """Says what becomes of each character: another text, or None where it is left out."""

    def __init__(self, form: Callable[[str], str | None]) -> None:
        """Take what decides it for one character."""
        super().__init__()
        self._form = form

    def __missing__(self, code: int) -> str | None:
        if len(self) >= _MOST:
            # full of rare ones, it would be of no use to the others
            self.clear()
        form = self[code] = self._form(chr(code))
        return form
