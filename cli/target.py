"""Where events are sent to and read from: a URL and a key, given or taken from a system run by `analytics up`."""

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

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="ANALYTICS_INGEST_URL", help="Of ingest. Not given: of the system in --data-dir."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="ANALYTICS_WRITE_KEY",
        help="With the scope events:write. Not given: of the system in --data-dir. Others may see a command line.",
    ),
]
ReadUrl = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="ANALYTICS_DASHBOARD_URL", help="Of the read service. Not given: of the system in --data-dir."
    ),
]
ReadKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="ANALYTICS_READ_KEY",
        help="With the scope events:read. Not given: of the system in --data-dir. Others may see a command line.",
    ),
]


@dataclass(frozen=True, slots=True)
class Target:
    """A service and the key it knows us by."""

    url: str
    key: str = field(repr=False)

    def open(self, concurrency: int) -> httpx.AsyncClient:
        """Return a client for as many requests at once. Raises ConfigurationError for a proxy that cannot be used."""
        try:
            return httpx.AsyncClient(
                base_url=self.url,
                headers={"authorization": f"Bearer {self.key}", "user-agent": "studyin-analytics-cli"},
                timeout=httpx.Timeout(30.0, connect=5.0),
                limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
                # the certificates that the environment names are trusted, its proxies not always used
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
    """Return the ingest given, completed from the system in `data_dir`.

    Raises ConfigurationError with what is missing.
    """
    if url is None or key is None:
        running = _running(data_dir)
        url, key = url or running.ingest_url, key or running.write_key
    return _checked(url, key)


def find_reader(url: str | None, key: str | None, data_dir: Path) -> Target:
    """Return the read service given, completed as `find_target` does. Raises ConfigurationError."""
    if url is None or key is None:
        running = _running(data_dir)
        url, key = url or running.dashboard_url, key or running.read_key
    return _checked(url, key)


def unusable_proxy(host: str, error: Exception) -> ConfigurationError:
    """Return what to tell of a proxy of the environment that cannot be used, such as a SOCKS proxy."""
    variables = "ALL_PROXY, HTTPS_PROXY or HTTP_PROXY"
    return ConfigurationError(
        f"the proxy that {variables} names cannot be used ({error}); unset it, or add {host} to NO_PROXY"
    )


def _running(data_dir: Path) -> dev_file.DevFile:
    running = dev_file.read(data_dir)
    if running is None:
        raise ConfigurationError(f"no system runs on {data_dir}: start `analytics up`, or give --url and --key")
    return running


def _checked(url: str, key: str) -> Target:
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"--url is {url!r}; it begins with http:// or https://")
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"--url is {url!r}, which is no URL: {error}") from None
    if not host:
        raise ConfigurationError(f"--url is {url!r}; it names no host")
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError("--key holds characters that no key has")
    return Target(url.rstrip("/"), key)
