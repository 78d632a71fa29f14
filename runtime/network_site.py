"""Groups network addresses by who controls them. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_SITE_PREFIX: Final = 64
"""Bits of an IPv6 address that are one customer's; the rest they choose at will."""


def site_of(address: str | None) -> str:
    """Return the address that limits are counted by: IPv4 as it is, IPv6 by its /64; "" for any other text."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        # a test's client, or a socket of another family: all of them are one
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            # a listener on `::` sees IPv4 clients like this; their /64 would be all of IPv4
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed.packed, _SITE_PREFIX), strict=False))
    return str(parsed)
