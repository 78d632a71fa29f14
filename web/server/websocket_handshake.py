"""Recognizes a WebSocket handshake (RFC 6455). Any other offer of an upgrade may be ignored. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
_VERSION: Final = b"13"


def is_handshake(method: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether a head opens a WebSocket: GET, HTTP/1.1, no body, one protocol, a key and a version.

    The names of `headers` are in lower case. The parser has checked `Connection: upgrade`.
    """
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        values[name] = values[name] + b"," + value if name in values else value
    return (
        method == b"GET"
        and version == "1.1"
        and values.get(b"upgrade", b"").strip().lower() == b"websocket"
        and values.get(b"sec-websocket-version", b"").strip() == _VERSION
        and _KEY.fullmatch(values.get(b"sec-websocket-key", b"").strip()) is not None
        and values.get(b"content-length", b"0").strip() == b"0"
        and b"transfer-encoding" not in values
    )
