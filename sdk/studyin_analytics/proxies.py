"""Selects the proxy of a connection: that of the environment, and none to this machine."""

from __future__ import annotations

from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote
from urllib.request import getproxies_environment, proxy_bypass

from urllib3 import HTTPConnectionPool, ProxyManager, connection_from_url
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers, parse_url

from .errors import ConfigurationError

_SOCKS: Final = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_BYPASS: Final = "add the host to NO_PROXY"


def proxy_of(url: str) -> str | None:
    """Return the proxy of a URL by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, or None.

    Always None for an address of this machine. Raises ConfigurationError for an invalid proxy.
    """
    parts = parse_url(url)
    host = (parts.host or "").strip("[]")
    if is_loopback(host):
        return None
    proxies = getproxies_environment()
    if not proxies or proxy_bypass(host if parts.port is None else f"{host}:{parts.port}"):
        return None
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme or "", parts.scheme or "")
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if _scheme(proxy) not in {"http", "https", *_SOCKS}:
        raise ConfigurationError(
            f"the proxy of the environment for {scheme} is not a proxy URL: correct it, or {_BYPASS}"
        )
    return proxy


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def connection_pool(url: str, proxy: str | None, **settings: Any) -> tuple[HTTPConnectionPool, str]:
    """Return a connection pool for the server of a URL, and the request target. Does not connect.

    Raises ConfigurationError for a SOCKS proxy if its package is missing.
    """
    path = parse_url(url).request_uri
    if proxy is None:
        return connection_from_url(url, **settings), path
    if is_socks(proxy):
        need_socks("socks", "urllib3[socks]")
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy, **settings).connection_from_url(url), path
    credentials = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(credentials)) if credentials else None
    is_tunnel = url.startswith("https:")
    return ProxyManager(proxy, proxy_headers=headers, **settings).connection_from_url(url), path if is_tunnel else url


def is_socks(proxy: str) -> bool:
    """Return whether the URL is that of a SOCKS proxy."""
    return _scheme(proxy) in _SOCKS


def need_socks(module: str, package: str) -> None:
    """Raise ConfigurationError when the module for SOCKS proxies is missing; `package` provides it."""
    if find_spec(module) is None:
        raise ConfigurationError(
            f"the proxy of the environment is a SOCKS proxy, which requires: pip install {package}. Otherwise {_BYPASS}"
        )


def _scheme(proxy: str) -> str:
    try:
        parts = parse_url(proxy)
    except HTTPError:
        return ""
    return parts.scheme or "" if parts.host else ""
