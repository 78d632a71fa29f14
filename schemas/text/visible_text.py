"""Makes texts of senders safe to display: they cannot control a terminal, or hide or reorder other text."""

from __future__ import annotations

import re
from typing import Final

_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_STEERING: Final = (
    "\x00-\x09\x0b-\x1f\x7f-\x9f"  # C0 but the line end, and C1: escape sequences, backspace, bell
    "\u00ad\u200b\u2060-\u2065\ufeff\U000e0000-\U000e0fff"  # invisible
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction of writing
    "\u2028\u2029"  # line ends in some programs
    "\ufff9-\ufffb"
)
_IN_A_LINE: Final = re.compile(f"[\n{_STEERING}]")
_IN_JSON: Final = re.compile(f"[{_STEERING}]")


def visible(text: str) -> str:
    r"""Return one line of text with every control and invisible character as an escape, such as `\x1b` or `\u202e`."""
    return text if text.isascii() and text.isprintable() else _IN_A_LINE.sub(_escape, text)


def visible_json(document: str) -> str:
    """Return the same JSON document with these characters as JSON escapes. Line ends between values stay."""
    return _IN_JSON.sub(_json_escape, document)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if named := _NAMED.get(found[0]):
        return named
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
