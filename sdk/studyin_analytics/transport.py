"""Posts batches to ingest over a persistent connection."""

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

# Imported here, not in the sender's thread: a child that is forked during an import would wait for it forever
codecs.lookup("idna")


class TransportFailed(Exception):
    """No answer arrived; the events may or may not have arrived. The message has the reason and no address."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    retry_after: str | None
    body: bytes


class Transport(Protocol):
    """Makes requests to ingest, one at a time, in the thread of one sender."""

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post a batch and return the answer of any status. Raises TransportFailed."""
        ...

    def close(self) -> None:
        """Close the connection. The next `post` opens another."""
        ...


class HttpTransport:
    """Posts to ingest over HTTP or HTTPS. Follows no redirects and does not retry; the sender decides that."""

    def __init__(self, url: str, write_key: str, timeout: float, ca_file: str | None = None) -> None:
        """Raise ConfigurationError for an invalid argument. Connects with the first request."""
        self._url = base_url(url, "url") + BATCH_PATH
        if not isinstance(write_key, str):
            raise ConfigurationError("write_key must be a str")
        if not (write_key.isascii() and write_key.isprintable()):
            raise ConfigurationError("write_key has characters that are not allowed in an HTTP header")
        self._headers = {"Authorization": f"Bearer {write_key}"}
        self._timeout = Timeout(connect=timeout, read=timeout)
        self._trust = {} if ca_file is None else {"ca_certs": ca_file}
        self._proxy = proxy_of(self._url)
        self._pool, self._target = self._open()

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post a batch and return the answer. Raises TransportFailed."""
        try:
            response = self._pool.urlopen(
                "POST",
                self._target,
                body=body,
                headers={**self._headers, **headers},
                retries=False,
                redirect=False,
                # through a proxy the target has another host
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
    """Return the URL without trailing slashes. Raises ConfigurationError with `name` for an invalid URL."""
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} must be a str")
    try:
        parts = parse_url(url)
    except HTTPError:
        raise ConfigurationError(f"{name} is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ConfigurationError(f"{name} must begin with http:// or https:// and have a host")
    return url.rstrip("/")
