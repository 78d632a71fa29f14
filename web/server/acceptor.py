"""Accepts connections within limits. Pauses while file descriptors are short."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from web.problems import Refusal
from web.request_id import new_request_id
from web.server.certificate import Certificate
from web.server.connection_limits import ConnectionLimits, ConnectionSlot
from web.server.protocol_errors import render_refusal

RESERVED_DESCRIPTORS: Final = 64
"""Reserved for Redis, Postgres, files, and connections that are being accepted or refused."""

MIN_CONNECTIONS: Final = 16
"""Minimum, whatever the limit on open files is."""

_ACCEPTS_PER_TURN: Final = 16
_MAX_PENDING_REFUSALS: Final = 16
"""Maximum refused connections that wait for their answer. Others are closed without one."""
_REFUSAL_SECONDS: Final = 1.0
_HANDSHAKE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1
_WARNING_SECONDS: Final = 60.0

_log = logging.getLogger("uvicorn.error")


def affordable_connections(wanted: int) -> int:
    """Return how many connections the limit on open files allows, at most `wanted`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    in_use = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else RESERVED_DESCRIPTORS
    return min(wanted, max(MIN_CONNECTIONS, soft - in_use - RESERVED_DESCRIPTORS))


class Acceptor:
    """Replaces asyncio's server: creates a protocol for each connection to a listening socket."""

    def __init__(
        self,
        listening: socket.socket,
        limits: ConnectionLimits,
        protocol: Callable[[ConnectionSlot], asyncio.Protocol],
        certificate: Certificate | None,
    ) -> None:
        self._socket = listening
        self._limits = limits
        self._protocol = protocol
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[bool]] = set()
        self._refused: set[_Refused] = set()
        self._resuming: asyncio.TimerHandle | None = None
        self._warned_at: float | None = None

    def start(self, backlog: int) -> None:
        """Listen."""
        self._socket.setblocking(False)
        self._socket.listen(backlog)
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Stop accepting. Drop connections that are still being set up."""
        self._loop.remove_reader(self._socket)
        if self._resuming is not None:
            self._resuming.cancel()
        for task in self._connecting:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return once no connection is being set up."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # out of file descriptors or memory: accept nothing until some may be free
                self._pause(error)
                return
            accepted.setblocking(False)
            try:
                slot = self._limits.acquire(address[0])
            except Refusal as refusal:
                self._refuse(accepted, refusal)
                continue
            # used until the connection has a protocol
            slot.close = partial(_hang_up, accepted)
            self._start(self._connect(accepted, slot), accepted, slot.release)

    def _pause(self, error: OSError) -> None:
        self._limits.count("descriptors")
        self._limits.close_oldest_idle()
        now = self._loop.time()
        if self._warned_at is None or now - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = now
            _log.warning("cannot accept connections: %s", error.strerror)
        self._loop.remove_reader(self._socket)
        self._resuming = self._loop.call_later(_PAUSE_SECONDS, self._loop.add_reader, self._socket, self._accept)

    def _refuse(self, accepted: socket.socket, refusal: Refusal) -> None:
        # an answer is not worth the cost of a TLS handshake
        if self._certificate is not None or len(self._refused) >= _MAX_PENDING_REFUSALS:
            accepted.close()
            return
        protocol = _Refused(refusal, self._refused)
        self._refused.add(protocol)
        self._start(self._answer(accepted, protocol), accepted, partial(self._refused.discard, protocol))

    def _start(self, work: Coroutine[Any, Any, bool], accepted: socket.socket, undo: Callable[[], None]) -> None:
        """Set up a connection in a task. If that fails, close the socket and call `undo`."""

        def is_over(task: asyncio.Task[bool]) -> None:
            self._connecting.discard(task)
            if task.cancelled() or not task.result():
                undo()
                accepted.close()

        task = self._loop.create_task(work, name="accept")
        self._connecting.add(task)
        task.add_done_callback(is_over)

    async def _connect(self, accepted: socket.socket, slot: ConnectionSlot) -> bool:
        context, seconds = (self._certificate.context, _HANDSHAKE_SECONDS) if self._certificate else (None, None)
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(slot), accepted, ssl=context, ssl_handshake_timeout=seconds
            )
        except OSError:
            # the client disconnected, or does not speak TLS
            return False
        return True

    async def _answer(self, accepted: socket.socket, protocol: _Refused) -> bool:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, accepted)
        except OSError:
            return False
        return True


def _hang_up(accepted: socket.socket) -> None:
    # the protocol that owns the socket by now reads the end of the connection and closes it
    with contextlib.suppress(OSError):
        accepted.shutdown(socket.SHUT_RDWR)


class _Refused(asyncio.Protocol):
    """Answers the first bytes of a refused connection. Clients often lose an answer sent before their request."""

    def __init__(self, refusal: Refusal, waiting: set[_Refused]) -> None:
        self._refusal = refusal
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait up to a second for a request."""
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(_REFUSAL_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Answer and close."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(render_refusal(self._refusal, new_request_id()))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place of this refusal."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.discard(self)
