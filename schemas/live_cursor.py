"""Cursors of live events: the id of the last message that a subscriber has passed, in each partition. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from .live import MAX_CURSOR

Position = tuple[int, ...]
"""One message id for each partition; 0 before its first message."""

_ID: Final = re.compile(r"[0-9]{1,16}")
_SEVERAL: Final = "~"
_MAX_BITS: Final = 63


def cursor_of(position: Position) -> str:
    """Return the cursor that subscribers get. With one partition it is the id of the message."""
    if len(position) == 1:
        return str(position[0])
    newest = max(position)
    # an id is written as its distance from the newest one: recent ids are short
    written = [_varint(newest), *(_varint(newest - one + 1 if one else 0) for one in position)]
    return _SEVERAL + base64.urlsafe_b64encode(b"".join(written)).decode().rstrip("=")


def parse_cursor(cursor: str, partitions: int) -> Position | None:
    """Return the position of a cursor; None for one of a system with another number of partitions, or a damaged one."""
    if not cursor.startswith(_SEVERAL):
        return (int(cursor),) if partitions == 1 and _ID.fullmatch(cursor) else None
    numbers = _numbers(cursor.removeprefix(_SEVERAL)) if len(cursor) <= MAX_CURSOR else []
    if len(numbers) != partitions + 1 or partitions == 1:
        return None
    newest, *distances = numbers
    position = tuple(newest - distance + 1 if distance else 0 for distance in distances)
    if min(position) < 0:
        return None
    return position if cursor_of(position) == cursor else None


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _numbers(text: str) -> list[int]:
    """Return the numbers of a cursor; none if it is damaged."""
    try:
        written = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return []
    numbers, number, shift = [], 0, 0
    for byte in written:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
        elif shift > _MAX_BITS:
            return []
    return numbers if shift == 0 else []
