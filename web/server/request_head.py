"""Checks of a request head that the parser does not make (RFC 9110, RFC 9112). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from web.problems import Refusal
from web.server.protocol_errors import INVALID_HOST, MALFORMED, REPEATED_HEADER

_VERSIONS: Final = frozenset({"1.0", "1.1"})
"""The parser also accepts 0.9 and 2.0."""

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?[ \t]*")
"""A name, an IPv4 address or an IPv6 address in brackets, with an optional port. Never empty."""

_SINGLE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"host",
        b"last-event-id",
        b"origin",
        b"transfer-encoding",
        b"x-analytics-dropped",
        b"x-api-key",
        b"x-request-id",
    }
)
"""Headers that a service reads and that have one value. Of two values, a proxy may read the first and a service the
last."""

_FRAMING: Final = frozenset({b"connection", b"proxy-connection", b"upgrade", b"content-length", b"transfer-encoding"})
"""Headers that determine where a message or a connection ends, also in trailers."""

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, with values."""


def head_fault(version: str, headers: Headers) -> Refusal | None:
    """Return the refusal of a request with this head; None for a valid head."""
    fields = dict(headers)
    if len(fields) < len(headers) and (fault := _repeated(headers)):
        return fault
    host = fields.get(b"host")
    if host is None:
        if version == "1.1":
            return INVALID_HOST
    elif not _is_host(host):
        return INVALID_HOST
    if version not in _VERSIONS or (b"transfer-encoding" in fields and not _is_chunked(version, fields)):
        return MALFORMED
    return None


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    # a service has few names
    return _HOST.fullmatch(value) is not None


def trailer_fault(trailers: Headers) -> Refusal | None:
    """Return the refusal of a request with framing headers among its trailers; None otherwise."""
    return MALFORMED if any(name in _FRAMING for name, _ in trailers) else None


def _repeated(headers: Headers) -> Refusal | None:
    seen = set()
    for name, _ in headers:
        if name in seen:
            return INVALID_HOST if name == b"host" else REPEATED_HEADER
        if name in _SINGLE:
            seen.add(name)
    return None


def _is_chunked(version: str, fields: Mapping[bytes, bytes]) -> bool:
    # no service decodes other codings, and a proxy may accept a transfer coding in HTTP/1.0
    return version == "1.1" and fields[b"transfer-encoding"].strip().lower() == b"chunked"
