"""Creates Redis clients, without the defaults that could duplicate or hide an event."""

from __future__ import annotations

from typing import Any, Final

import hiredis
from redis.asyncio import Redis as Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ReadOnlyError

from runtime.settings import Settings
from stream.server.client_names import Role, client_name

CALL_TIMEOUT_SECONDS: Final = 5.0
LONGEST_BLOCK_SECONDS: Final = 1.0
"""Maximum time a read waits for new entries, so that a process stops soon after it is told to."""


class _ServiceConnection(AbstractConnection):
    # redis-py has this only for its blocking client; with ten fields per event, packing in Python is a fifth of the CPU
    # time of ingest
    def pack_command(self, *args: Any) -> list[bytes]:
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [hiredis.pack_command((*name.split(), *args[1:]))]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except ReadOnlyError as error:
            # the client drops a connection that failed; after a failover a new one reaches the new primary
            raise ConnectionError(f"READONLY {error}") from error


class _PlainConnection(_ServiceConnection, Connection):
    pass


class _EncryptedConnection(_ServiceConnection, SSLConnection):
    pass


_CONNECTION_CLASSES: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: _PlainConnection,
    SSLConnection: _EncryptedConnection,
}


def connect(
    settings: Settings, *, blocking: bool = False, role: Role = "command", database_connections: int = 0
) -> Redis:
    """Return a client; does not connect. The timeout of a `blocking` client allows for reads that wait for entries.

    Redis knows each connection by the role of this process and the maximum number of its connections to Postgres.

    The client never retries by itself: a retried append is a duplicate, and a retried read looks empty although its
    entries are pending for this consumer. Replies have the form of protocol 2; with it, the client also checks each
    connection before reuse.
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
        client_name=client_name(role, partitions=settings.stream_partitions, database_connections=database_connections),
    )
    pool = client.connection_pool
    pool.connection_class = _CONNECTION_CLASSES[pool.connection_class]
    return client
