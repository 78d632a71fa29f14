"""Addresses of ingest and the read service: a URL and a key, from options or from a system run by `analytics up`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer

from cli.local import dev_file
from cli.proxies import needs_no_proxy
from runtime.errors import ConfigurationError

BATCH_PATH = "/api/analytics/events/batch"
_VISIBLE_KEY = "Other users can see a key on the command line."

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="ANALYTICS_INGEST_URL", help="URL of ingest. Default: the system in --data-dir."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="ANALYTICS_WRITE_KEY",
        help="API key with the scope events:write. Default: the system in --data-dir. " + _VISIBLE_KEY,
    ),
]
ReadUrl = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="ANALYTICS_DASHBOARD_URL", help="URL of the read service. Default: the system in --data-dir."
    ),
]
ReadKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="ANALYTICS_READ_KEY",
        help="API key with the scope events:read. Default: the system in --data-dir. " + _VISIBLE_KEY,
    ),
]


@dataclass(frozen=True, slots=True)
class Target:
    """A service and our API key for it."""

    url: str
    key: str = field(repr=False)

    def open(self, concurrency: int) -> httpx.AsyncClient:
        """Return a client for `concurrency` simultaneous requests. Raises ConfigurationError for an unusable proxy."""
        try:
            return httpx.AsyncClient(
                base_url=self.url,
                headers={"authorization": f"Bearer {self.key}", "user-agent": "studyin-analytics-cli"},
                timeout=httpx.Timeout(30.0, connect=5.0),
                limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
                # certificates of the environment are always trusted; its proxies are skipped for some hosts
                verify=httpx.create_ssl_context(),
                trust_env=not needs_no_proxy(self.host),
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise unusable_proxy(self.host, error) from error

    @property
    def host(self) -> str:
        """The host of the URL."""
        return httpx.URL(self.url).host


def find_target(url: str | None, key: str | None, data_dir: Path) -> Target:
    """Return the ingest of the options. A missing URL or key comes from the system that runs in `data_dir`.

    Raises ConfigurationError when no system runs there, or for an invalid URL or key.
    """
    if url is None or key is None:
        running = _running(data_dir)
        url, key = url or running.ingest_url, key or running.write_key
    return _validated(url, key)


def find_reader(url: str | None, key: str | None, data_dir: Path) -> Target:
    """Return the read service of the options, completed like `find_target`. Raises ConfigurationError."""
    if url is None or key is None:
        running = _running(data_dir)
        url, key = url or running.dashboard_url, key or running.read_key
    return _validated(url, key)


def unusable_proxy(host: str, error: Exception) -> ConfigurationError:
    """Return the error for a proxy of the environment that cannot be used, such as a SOCKS proxy."""
    variables = "ALL_PROXY, HTTPS_PROXY or HTTP_PROXY"
    return ConfigurationError(
        f"the proxy that {variables} names cannot be used ({error}); unset it, or add {host} to NO_PROXY"
    )


def _running(data_dir: Path) -> dev_file.DevFile:
    running = dev_file.read(data_dir)
    if running is None:
        raise ConfigurationError(f"no system runs in {data_dir}: start `analytics up`, or give --url and --key")
    return running


def _validated(url: str, key: str) -> Target:
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"--url is {url!r}; it must begin with http:// or https://")
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"--url is {url!r}, which is not a valid URL: {error}") from None
    if not host:
        raise ConfigurationError(f"--url is {url!r}; it has no host")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError("--key has characters that are not allowed in an API key; only printable ASCII is")
    return Target(url.rstrip("/"), key)
