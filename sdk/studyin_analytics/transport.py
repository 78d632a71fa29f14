"""The way to ingest: one POST over a connection that is kept."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from urllib3 import HTTPConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout, parse_url

from .errors import ConfigurationError
from .proxies import connection_pool, proxy_of

BATCH_PATH: Final = "/api/analytics/events/batch"

# Connecting would import this in the sender's thread, and a child forked amid an import waits for it for ever
codecs.lookup("idna")


class TransportFailed(Exception):
    """No answer came: whether the events arrived is unknown. The message says why, without an address."""


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    retry_after: str | None
    body: bytes


class Transport(Protocol):
    """Takes requests to ingest, one at a time, from the thread of one sender."""

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a batch and return the answer, whatever its status. Raises TransportFailed."""
        ...

    def close(self) -> None:
        """Let the connection go; the next `post` makes another."""
        ...


class HttpTransport:
    """Posts to ingest over HTTP or HTTPS. Follows no redirect and repeats nothing: that is decided elsewhere."""

    def __init__(self, url: str, write_key: str, timeout: float, ca_file: str | None = None) -> None:
        """Raise ConfigurationError when this is no address of a server. Connects with the first request."""
        self._url = base_url(url, "url") + BATCH_PATH
        if not isinstance(write_key, str):
            raise ConfigurationError("write_key must be a str")
        if not (write_key.isascii() and write_key.isprintable()):
            raise ConfigurationError("write_key has characters that no header can carry")
        self._headers = {"Authorization": f"Bearer {write_key}"}
        self._timeout = Timeout(connect=timeout, read=timeout)
        self._trust = {} if ca_file is None else {"ca_certs": ca_file}
        self._proxy = proxy_of(self._url)
        self._pool, self._target = self._open()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a batch and return the answer."""
        try:
            response = self._pool.urlopen(
                "POST",
                self._target,
                body=body,
                headers={**self._headers, **headers},
                retries=False,
                redirect=False,
                # Through a proxy the target is of another host
                assert_same_host=False,
            )
        except HTTPError as error:
            raise TransportFailed(type(error).__name__) from error
        return Reply(response.status, response.headers.get("retry-after"), response.data)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()
        self._pool, self._target = self._open()

    def _open(self) -> tuple[HTTPConnectionPool, str]:
        return connection_pool(self._url, self._proxy, maxsize=1, timeout=self._timeout, **self._trust)


def base_url(url: str, name: str) -> str:
    """Return the address of a server without a slash at its end. Raises ConfigurationError, which names `name`."""
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} must be a str")
    try:
        parts = parse_url(url)
    except HTTPError:
        raise ConfigurationError(f"{name} is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ConfigurationError(f"{name} must begin with http:// or https:// and name a host")
    return url.rstrip("/")
