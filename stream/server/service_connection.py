"""Connections to Redis: commands are packed in C, and a server that refuses as a replica is left."""

from __future__ import annotations

from ssl import SSLCertVerificationError
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, ResponseError

from stream.server.failures import is_refusal_of_replica


class _ServiceConnection(AbstractConnection):
    # redis-py has this only for its blocking client; with ten fields per event, packing in Python is a fifth of the CPU
    # time of ingest
    def pack_command(self, *args: Any) -> list[bytes]:
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        return [hiredis.pack_command((*name.split(), *args[1:]))]

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except ResponseError as error:
            if not is_refusal_of_replica(error):
                raise
            # the client drops a connection that failed; after a failover a new one reaches the new primary
            raise ConnectionError(f"READONLY {error}") from error


class PlainConnection(_ServiceConnection, Connection):
    """A connection without TLS."""


class EncryptedConnection(_ServiceConnection, SSLConnection):
    """A connection with TLS. The file of authorities is read again after a certificate was not trusted."""

    async def _connect(self) -> None:
        # the client has no types for this method
        connect: Any = super()._connect
        try:
            await connect()
        except SSLCertVerificationError:
            # redis-py would keep the authorities that it has read
            self.ssl_context.context = None
            raise


class SocketFileConnection(_ServiceConnection, UnixDomainSocketConnection):
    """A connection through a Unix domain socket."""
