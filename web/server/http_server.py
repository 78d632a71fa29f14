"""Serves an ASGI application until it is told to stop, then finishes the requests in flight.

While it drains it accepts and answers as before, and asks every client to use another connection. Idle connections stay
open until the stop, so that no request meets a closed one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

from runtime.errors import ConfigurationError
from runtime.lifecycle import run_until_stopped
from telemetry.internal_events import prepare_refusal_codes, request_refused
from web.server.acceptor import Acceptor, affordable_connections
from web.server.certificate import Certificate
from web.server.connection_limits import ConnectionLimits, ConnectionObserver, ConnectionSlot
from web.server.http_protocol import BoundedHttpProtocol
from web.server.listener import EncryptedOnly, Listener
from web.server.protocol_errors import REFUSALS
from web.server.refusal_log import RefusalLog
from web.server.websocket_protocol import MAX_MESSAGE_BYTES, PING_SECONDS, BoundedWebSocketProtocol

GRACE_SECONDS: Final = 20
"""Maximum time for requests in flight after the stop, in seconds."""

KEEP_ALIVE_SECONDS: Final = 75
"""Idle time of a connection. It exceeds that of load balancers and clients, so that they close first."""

SEND_BUFFER_BYTES: Final = 256 * 1024
"""Kernel send buffer of a connection. There may be thousands of slow clients."""


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        limits: ConnectionLimits,
        protocol: type[BoundedHttpProtocol],
        certificate: Certificate | None,
    ) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._limits = limits
        self._protocol_class = protocol

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # as uvicorn's, with our acceptor
        await self.lifespan.startup()
        servers = [Acceptor(one, self._limits, self._protocol, self._certificate) for one in sockets or ()]
        for server in servers:
            server.start(self.config.backlog)
        self.servers: list[Any] = servers
        self.started = True

    async def drain_after(self, drain: asyncio.Event) -> None:
        await drain.wait()
        self._protocol_class.is_draining = True
        for connection in self.server_state.connections:
            if isinstance(connection, BoundedHttpProtocol):
                connection.drain()

    def _protocol(self, slot: ConnectionSlot) -> asyncio.Protocol:
        return self._protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, slot=slot
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # the process has its own handlers; uvicorn's would raise the signal again and change the exit code
        yield


async def serve_http(
    app: Any,
    listener: Listener,
    stop: asyncio.Event,
    *,
    drain: asyncio.Event | None = None,
    websocket_path: str | None = None,
    observer: ConnectionObserver | None = None,
) -> None:
    """Serve `app` until `stop` is set, then finish the requests in flight. `websocket_path` accepts WebSockets.

    Once `drain` is set, each connection closes after its next answer, which says so.

    Requests that are refused before `app` sees them are counted and logged. `observer` counts connections.

    Raises ConfigurationError for a port in use, or a certificate that cannot be used.
    """
    prepare_refusal_codes(refusal.code for refusal in REFUSALS)
    certificate = None
    if listener.certificate is not None:
        certificate = Certificate(listener.certificate, listener.key or listener.certificate)
    refusal_log = RefusalLog(request_refused)
    protocol = _protocol(websocket_path, refusal_log)
    config = uvicorn.Config(
        EncryptedOnly(app, requires_tls=listener.requires_tls),
        # uvicorn would take a callable that is no coroutine function for an older interface
        interface="asgi3",
        http=protocol,
        proxy_headers=bool(listener.trusted_proxies),
        forwarded_allow_ips=list(listener.trusted_proxies),
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        lifespan="off",
        ws="none" if websocket_path is None else BoundedWebSocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        # a frame goes to many clients, and compression costs CPU and memory for each
        ws_per_message_deflate=False,
        backlog=4096,
    )
    total = affordable_connections(listener.max_connections)
    limits = ConnectionLimits(total, listener.per_address(total), listener.trusted_proxies, observer)
    server = _Server(config, limits, protocol, certificate)
    endpoint = _listen(listener.host, listener.port)
    # connections inherit the option
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    serving = asyncio.create_task(server.serve(sockets=[endpoint]), name="http-server")
    draining = asyncio.create_task(server.drain_after(drain or stop), name="http-drain")
    try:
        await run_until_stopped(certificate.run(stop) if certificate else stop.wait(), stop, [serving])
    finally:
        server.should_exit = True
        draining.cancel()
        try:
            await serving
        finally:
            refusal_log.close()


def _protocol(path: str | None, log: RefusalLog) -> type[BoundedHttpProtocol]:
    # uvicorn creates one instance for each connection and passes none of our arguments
    class Protocol(BoundedHttpProtocol):
        websocket_path = path
        refusal_log = log

    return Protocol


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # explicit protocol: asyncio sets TCP_NODELAY on no other, and answers would wait for acknowledgements
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
    return listener
