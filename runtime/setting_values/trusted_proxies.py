"""Which proxies may be believed about a caller's address: those that are named, never everybody. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

_SHORTEST_PREFIX: Final = 8
_IPV4_IN_IPV6: Final = IPv6Network("::ffff:0:0/96")
_EXAMPLE: Final = "name each proxy by its address or network, such as 10.0.0.5 or 10.0.0.0/24"


def named_proxies(names: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses and networks.

    Raises ValueError for `*`, for a network wider than /8, and for what is no address or network.
    """
    proxies = tuple(names)
    for proxy in proxies:
        if proxy == "*":
            raise ValueError(f"* would let every caller choose the address it is known by; {_EXAMPLE}")
        try:
            network = _network(proxy)
        except ValueError:
            raise ValueError(f"one of them is no address and no network; {_EXAMPLE}") from None
        if _is_too_wide(network):
            raise ValueError(
                f"a network wider than /{_SHORTEST_PREFIX} would let strangers choose the address they are known by;"
                f" {_EXAMPLE}"
            )
    return proxies


def _network(proxy: str) -> IPv4Network | IPv6Network:
    # strict: bits behind the prefix are a slip, and such a network would silently match nobody
    return ip_network(proxy) if "/" in proxy else ip_network(ip_address(proxy).packed)


def _is_too_wide(network: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv6Network):
        if network.supernet_of(_IPV4_IN_IPV6):
            return True
        if network.subnet_of(_IPV4_IN_IPV6):
            return network.prefixlen - _IPV4_IN_IPV6.prefixlen < _SHORTEST_PREFIX
    return network.prefixlen < _SHORTEST_PREFIX
