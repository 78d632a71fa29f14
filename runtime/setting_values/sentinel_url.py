"""The URL of a Redis whose primary is found through Redis Sentinel.

    redis+sentinel://user:password@host:26379,host:26379/service/0?sentinel_password=...

Login, database and options are those of the servers, as in a redis:// URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
SENTINEL_LOGIN: Final = frozenset(("sentinel_username", "sentinel_password"))
"""Options with the login of the sentinels, which have none by default."""

_DEFAULT_PORT: Final = 26_379


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The parts of the URL."""

    sentinels: tuple[tuple[str, int], ...]
    """Host and port of each sentinel."""
    service: str
    """The name under which the sentinels know the primary."""
    username: str | None
    """User name at the sentinels."""
    password: str | None
    """Password at the sentinels."""
    server_url: str
    """redis:// or rediss:// URL with login, database and options of the servers, without a host."""


def is_sentinel_url(url: str) -> bool:
    """Whether the URL names sentinels instead of a server."""
    return urlsplit(url).scheme in SENTINEL_SCHEMES


def parse_sentinel_url(url: str) -> SentinelUrl:
    """Return the parts of a valid URL."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    service, database = split_sentinel_path(parts.path)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    server = parts._replace(
        scheme=parts.scheme.removesuffix("+sentinel"),
        netloc=login + at,
        path=f"/{database}",
        query=urlencode({name: value for name, value in options.items() if name not in SENTINEL_LOGIN}),
    )
    return SentinelUrl(
        sentinels=tuple(map(_address, hosts.split(","))),
        service=service,
        username=options.get("sentinel_username"),
        password=options.get("sentinel_password"),
        server_url=server.geturl(),
    )


def split_sentinel_path(path: str) -> tuple[str, str]:
    """Return the name of the service and the number of the database, each empty if it is not given."""
    service, _, database = unquote(path).strip("/").partition("/")
    return service, database


def _address(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    return parts.hostname or "", parts.port or _DEFAULT_PORT
