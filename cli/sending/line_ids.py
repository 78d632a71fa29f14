"""Gives an event_id to lines that have none, so that the same input sent again counts nothing twice.

The id of a line follows from three things: the name of the input, the content of the line, and how many identical
lines the input had before it. Blank lines, the order of the lines and an interruption change no id, identical lines
count each, and two inputs never share an id.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from cli.sending.event_lines import is_stream

LineIds = Callable[[int, bytes], str]
"""Returns the event_id of a line, by its number and its content without the space around it.

It must be called for every line without an event_id, in the order of the input.
"""

_KEY_BYTES: Final = 8


def ids_by_content(name: str) -> LineIds:
    """Return the rule above for an input of this name. It keeps about 100 bytes for each distinct line."""
    of_the_input = hashlib.sha256(os.fsencode(name)).digest()
    seen: dict[int, int] = {}

    def event_id(_number: int, line: bytes) -> str:
        content = hashlib.sha256(line).digest()
        # where two lines share a key, the second is counted as a repeat: its id is as unique
        key = int.from_bytes(content[:_KEY_BYTES])
        occurrence = seen[key] = seen.get(key, 0) + 1
        return _reserved_uuid(hashlib.sha256(of_the_input + content + b"%d" % occurrence).hexdigest())

    return event_id


def _reserved_uuid(digest: str) -> str:
    """Return a UUID of the range that `canonical_event_id` keeps for ids that are no UUIDv7."""
    return f"ffff{digest[:4]}-{digest[4:8]}-8{digest[8:11]}-8{digest[11:14]}-{digest[14:26]}"


def id_by_number(number: int, line: bytes) -> str:
    """Return the id that an earlier release gave the line, for files that it has sent in part."""
    return f"line-{hashlib.sha256(b'%d %b' % (number, line)).hexdigest()}"


def input_name(file: Path) -> str:
    """Return the name of an input that was given none: its path, or a random one where the next run reads other lines.

    Links are resolved. Blocks on the disk. Raises OSError.
    """
    return str(uuid4()) if is_stream(file) else str(file.resolve())
