"""Decides which requests use the proxy of the environment: none to this machine."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Final
from urllib.request import proxy_bypass

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def exempt_loopback() -> None:
    """Add the loopback addresses to NO_PROXY, for libraries that read it and for child processes."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host for host in map(str.strip, named.split(",")) if host]
    value = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    # urllib prefers the lower-case name; other libraries read only the upper-case one
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = value


def needs_no_proxy(host: str) -> bool:
    """Return whether the host is this machine or listed in NO_PROXY."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return bool(proxy_bypass(host))
    return address.is_loopback or address.is_unspecified or bool(proxy_bypass(host))
