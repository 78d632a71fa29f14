"""Derives an event_id for lines that have none, so that no event counts twice when an input is sent again.

The id is derived from the name of the input, the content of the line, and the number of identical lines before it.
Blank lines, the order of lines and interruptions do not change an id. Each of several identical lines counts. Two
inputs never share an id.
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
"""Returns the event_id of a line. Takes its number and its stripped content.

Must be called for every line without an event_id, in the order of the input.
"""

_KEY_BYTES: Final = 8


def ids_by_content(name: str) -> LineIds:
    """Return the function for an input of this name. It uses about 100 bytes of memory per distinct line."""
    name_digest = hashlib.sha256(os.fsencode(name)).digest()
    seen: dict[int, int] = {}

    def event_id(_number: int, line: bytes) -> str:
        content = hashlib.sha256(line).digest()
        # two lines with the same key only raise the occurrence: their ids still differ by content
        key = int.from_bytes(content[:_KEY_BYTES])
        occurrence = seen[key] = seen.get(key, 0) + 1
        return _reserved_uuid(hashlib.sha256(name_digest + content + b"%d" % occurrence).hexdigest())

    return event_id


def _reserved_uuid(digest: str) -> str:
    """Return a UUID in the range that `canonical_event_id` reserves for ids that are not UUIDv7."""
    return f"ffff{digest[:4]}-{digest[4:8]}-8{digest[8:11]}-8{digest[11:14]}-{digest[14:26]}"


def id_by_number(number: int, line: bytes) -> str:
    """Return the id by the rule of an earlier release, for files that it has sent in part."""
    return f"line-{hashlib.sha256(b'%d %b' % (number, line)).hexdigest()}"


def default_input_name(file: Path) -> str:
    """Return the default name of an input: the resolved path of a file, a random name for a stream.

    Blocks on the disk. Raises OSError.
    """
    return str(uuid4()) if is_stream(file) else str(file.resolve())
