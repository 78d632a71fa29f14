"""Creates Redis clients, without the defaults that could duplicate or hide an event."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis as Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from runtime.setting_values.sentinel_url import is_sentinel_url, parse_sentinel_url
from runtime.settings import Settings
from stream.server.client_names import Role, client_name
from stream.server.sentinels import primary_pool
from stream.server.service_connection import EncryptedConnection, PlainConnection, SocketFileConnection
from telemetry import metrics
from telemetry.labels import PoolState

CALL_TIMEOUT_SECONDS: Final = 5.0
LONGEST_BLOCK_SECONDS: Final = 1.0
"""Maximum time a read waits for new entries, so that a process stops soon after it is told to."""

_CONNECTION_CLASSES: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: PlainConnection,
    SSLConnection: EncryptedConnection,
    UnixDomainSocketConnection: SocketFileConnection,
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
    options: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": CALL_TIMEOUT_SECONDS + (LONGEST_BLOCK_SECONDS if blocking else 0),
        "socket_connect_timeout": CALL_TIMEOUT_SECONDS,
        "health_check_interval": 30,
        "client_name": client_name(
            role, partitions=settings.stream_partitions, database_connections=database_connections
        ),
    }
    url = settings.redis_dsn
    if is_sentinel_url(url):
        client = Redis.from_pool(primary_pool(parse_sentinel_url(url), options))
    else:
        client = Redis.from_url(url, **options)
        client.connection_pool.connection_class = _CONNECTION_CLASSES[client.connection_pool.connection_class]
    pool = client.connection_pool
    metrics.REDIS_POOL_CONNECTIONS.labels(PoolState.IDLE).set_function(lambda: pool.get_connection_count()[0][0])
    metrics.REDIS_POOL_CONNECTIONS.labels(PoolState.USED).set_function(lambda: pool.get_connection_count()[1][0])
    return client
