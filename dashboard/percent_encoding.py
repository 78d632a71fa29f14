"""Refuses paths and queries that are not percent-encoded UTF-8.

The URL libraries replace what they cannot decode: two ids would become one, and name another learner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote_plus, unquote_to_bytes

from schemas.problems import ProblemError, safe_name
from web.problems import invalid_parameters

_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def is_readable(escaped: bytes) -> bool:
    """Whether a path or query has only complete escapes and decodes to UTF-8."""
    if b"%" not in escaped and escaped.isascii():
        return True
    if _BROKEN_ESCAPE.search(escaped):
        return False
    try:
        unquote_to_bytes(escaped).decode()
    except UnicodeDecodeError:
        return False
    return True


def refuse_unreadable(raw_path: bytes, path_parameters: Mapping[str, object], query: bytes) -> None:
    """Raise Refusal (422) that names each parameter of the path and the query that cannot be decoded."""
    # the route matched the fixed parts of the path, so the fault is in a parameter
    names = [] if is_readable(raw_path) else list(path_parameters)
    if not is_readable(query):
        names += _unreadable(query.split(b"&"))
    if names:
        raise invalid_parameters(
            [
                ProblemError(
                    code="invalid_encoding", parameter=safe_name(name), detail="Send it as percent-encoded UTF-8."
                )
                for name in names
            ]
        )


def _unreadable(pairs: Iterable[bytes]) -> list[str]:
    names = (pair.partition(b"=")[0] for pair in pairs if not is_readable(pair))
    return list(dict.fromkeys(unquote_plus(name.decode("latin-1")) for name in names))
