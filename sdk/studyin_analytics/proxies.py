"""Which proxy a connection goes through: that of the environment, and none to this machine itself."""

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
_BYPASS: Final = "name the host in NO_PROXY"


def proxy_of(url: str) -> str | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say for a URL; None: there is none.

    Never one for an address of this machine. Raises ConfigurationError for one that is no proxy.
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
        raise ConfigurationError(f"the proxy of the environment for {scheme} is no URL of one: mend it, or {_BYPASS}")
    return proxy


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def connection_pool(url: str, proxy: str | None, **settings: Any) -> tuple[HTTPConnectionPool, str]:
    """Return what makes connections to the server of a URL, and how its requests name that URL. Connects to nothing.

    Raises ConfigurationError for a SOCKS proxy where the package for it is missing.
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
    """Whether it is a SOCKS proxy."""
    return _scheme(proxy) in _SOCKS


def need_socks(module: str, package: str) -> None:
    """Raise ConfigurationError when the module for SOCKS proxies is missing; `package` is what has it."""
    if find_spec(module) is None:
        raise ConfigurationError(
            f"the proxy of the environment is a SOCKS proxy, which needs: pip install {package}. Without it, {_BYPASS}"
        )


def _scheme(proxy: str) -> str:
    try:
        parts = parse_url(proxy)
    except HTTPError:
        return ""
    return parts.scheme or "" if parts.host else ""
