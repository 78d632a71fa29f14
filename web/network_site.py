"""The network site of an address: the unit of limits per address. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_SITE_PREFIX: Final = 64
"""Prefix length of an IPv6 site. Its customer may use any address with the prefix."""


def site_of(address: str | None) -> str:
    """Return the IPv4 address, or the /64 network of an IPv6 address; "" for any other text."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        # a test client, or a socket of another family
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            # a listener on `::` sees IPv4 clients like this; the /64 would hold all of IPv4
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed.packed, _SITE_PREFIX), strict=False))
    return str(parsed)
