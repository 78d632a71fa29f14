"""Clients of Redis, with every default that could duplicate or hide an event switched off."""

from __future__ import annotations

from typing import Any, Final

import hiredis
from redis.asyncio import Redis as Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from runtime.settings import Settings

CALL_TIMEOUT_SECONDS: Final = 5.0
LONGEST_BLOCK_SECONDS: Final = 1.0
"""Longest a read may wait for new entries, so that a process notices soon that it should stop."""


class _PackingInC(AbstractConnection):
    # redis-py has this for its blocking client alone; ten fields an event make it a fifth of what ingest does
    def pack_command(self, *args: Any) -> list[bytes]:
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [hiredis.pack_command((*name.split(), *args[1:]))]


class _PlainConnection(_PackingInC, Connection):
    pass


class _EncryptedConnection(_PackingInC, SSLConnection):
    pass


_PACKING_IN_C: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: _PlainConnection,
    SSLConnection: _EncryptedConnection,
}


def connect(settings: Settings, *, blocking: bool = False) -> Redis:
    """Return a client; nothing is sent yet. `blocking` readers wait longer for an answer than others.

    The client never retries by itself: a retried append is a duplicate, a retried read looks empty while its entries
    sit with this consumer. Replies keep the shapes of protocol 2, which also checks each connection before its reuse.
    """
    patience = CALL_TIMEOUT_SECONDS + (LONGEST_BLOCK_SECONDS if blocking else 0)
    client: Redis = Redis.from_url(
        settings.redis_dsn,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=patience,
        socket_connect_timeout=CALL_TIMEOUT_SECONDS,
        socket_keepalive=True,
        health_check_interval=30,
        client_name="studyin-analytics",
    )
    pool = client.connection_pool
    pool.connection_class = _PACKING_IN_C[pool.connection_class]
    return client
