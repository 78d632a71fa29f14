"""Origins of web pages (RFC 6454), as browsers send them in `Origin`. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://"
    r"(?P<authority>(?:[A-Za-z0-9._-]{1,255}|\[(?P<address>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?)"
)
_OPAQUE: Final = "null"
_MAX_PORT: Final = 65_535


def authority_of(origin: str) -> str:
    """Return host and port (if any) of an origin in lower case; empty for `null`.

    Raises ValueError for a text that is not an origin.
    """
    if origin == _OPAQUE:
        return ""
    found = _ORIGIN.fullmatch(origin)
    if found is None or int(found["port"] or 0) > _MAX_PORT:
        raise ValueError("not an origin")
    if found["address"] is not None:
        IPv6Address(found["address"])
    return found["authority"].lower()


def validate_origin(origin: str) -> str:
    """Return an origin of ANALYTICS_CORS_ORIGINS. Raises ValueError for `*`, `null` and forms no browser sends."""
    if origin in ("*", _OPAQUE):
        raise ValueError(f"{origin} would let pages of any site in; name each origin, such as https://app.example.org")
    try:
        authority = authority_of(origin)
    except ValueError:
        authority = ""
    if not authority or not origin.startswith(("https://", "http://")) or origin != origin.lower():
        raise ValueError("write each origin as browsers do: https://app.example.org, in lower case, without a path")
    return origin
