"""Which proxy of the environment is used: none for this machine itself."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Final
from urllib.request import proxy_bypass

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def spare_loopback() -> None:
    """Name the loopback addresses in NO_PROXY, for libraries that read it and for processes that are started."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host for host in map(str.strip, named.split(",")) if host]
    value = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    # urllib looks at the lower case first, others at the upper case alone
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = value


def needs_no_proxy(host: str) -> bool:
    """Return whether a host is reached without a proxy: it is this machine, or NO_PROXY names it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return bool(proxy_bypass(host))
    return address.is_loopback or address.is_unspecified or bool(proxy_bypass(host))
