"""ANALYTICS_TRUSTED_PROXIES: proxies whose X-Forwarded-For is trusted. They must be named. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

_SHORTEST_PREFIX: Final = 8
_IPV4_IN_IPV6: Final = IPv6Network("::ffff:0:0/96")
_EXAMPLE: Final = "name each proxy by its address or network, such as 10.0.0.5 or 10.0.0.0/24"


def validate_proxies(names: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses and networks.

    Raises ValueError for `*`, a network wider than /8, and a text that is not an address or network.
    """
    proxies = tuple(names)
    for proxy in proxies:
        if proxy == "*":
            raise ValueError(f"* would let every caller choose its address; {_EXAMPLE}")
        try:
            network = _network(proxy)
        except ValueError:
            raise ValueError(f"one of them is not an address or a network; {_EXAMPLE}") from None
        if _is_too_wide(network):
            raise ValueError(
                f"a network wider than /{_SHORTEST_PREFIX} would let other callers choose their address; {_EXAMPLE}"
            )
    return proxies


def _network(proxy: str) -> IPv4Network | IPv6Network:
    # strict: bits after the prefix are a mistake, and such a network would match no address
    return ip_network(proxy) if "/" in proxy else ip_network(ip_address(proxy).packed)


def _is_too_wide(network: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv6Network):
        if network.supernet_of(_IPV4_IN_IPV6):
            return True
        if network.subnet_of(_IPV4_IN_IPV6):
            return network.prefixlen - _IPV4_IN_IPV6.prefixlen < _SHORTEST_PREFIX
    return network.prefixlen < _SHORTEST_PREFIX
