"""Connects to the primary that Redis Sentinel names. Every new connection asks the sentinels again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection, ConnectionPool, SSLConnection, parse_url
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.exceptions import ConnectionError

from runtime.setting_values.sentinel_url import SentinelUrl
from stream.server.service_connection import EncryptedConnection, PlainConnection

_SENTINEL_TIMEOUT_SECONDS: Final = 1.0
"""Maximum time for one sentinel to connect, and to answer, before the next one is asked."""


class _PlainConnection(SentinelManagedConnection, PlainConnection):
    pass


class _EncryptedConnection(SentinelManagedSSLConnection, EncryptedConnection):
    pass


class _PrimaryPool(SentinelConnectionPool):
    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


# redis-py declares no types for their arguments
_make_sentinels: Any = Sentinel
_make_pool: Any = _PrimaryPool


def primary_pool(url: SentinelUrl, options: Mapping[str, Any]) -> ConnectionPool:
    """Return a pool of connections to the primary; does not connect. `options` are those of each connection.

    With TLS, the sentinels are reached by TLS too, with the same certificates.
    """
    server: dict[str, Any] = {**options, **parse_url(url.server_url)}
    is_encrypted = server.pop("connection_class", None) is SSLConnection
    certificates = {name: value for name, value in server.items() if name.startswith("ssl_")}
    login = {"username": url.username, "password": url.password}
    patience = {"socket_timeout": _SENTINEL_TIMEOUT_SECONDS, "socket_connect_timeout": _SENTINEL_TIMEOUT_SECONDS}
    sentinels = _make_sentinels(
        url.sentinels,
        sentinel_kwargs={**options, **patience, **login, **certificates, "ssl": is_encrypted},
    )
    if is_encrypted:
        for sentinel in sentinels.sentinels:
            sentinel.connection_pool.connection_class = EncryptedConnection
    pool: ConnectionPool = _make_pool(
        url.service,
        sentinels,
        connection_class=_EncryptedConnection if is_encrypted else _PlainConnection,
        redis_connect_func=_require_primary,
        **server,
    )
    return pool


async def _require_primary(connection: AbstractConnection) -> None:
    """Prepare a new connection. Raises ConnectionError if a sentinel that is behind named a former primary."""
    await connection.on_connect()
    await connection.send_command("INFO", "replication")
    if b"role:master" not in await connection.read_response():
        raise ConnectionError("READONLY the server that the sentinels name is a replica")
