"""Runs one embedded server, and restarts it when it ends by itself."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from cli.local.backoff import RestartBackoff
from cli.local.embedded.process import ServerFailed
from cli.local.supervised_process import Say
from runtime.lifecycle import wait

_POLL_SECONDS = 0.5


class Server(Protocol):
    """An embedded server. Every method blocks."""

    @property
    def pid(self) -> int | None:
        """Process id, or None when the server does not run."""
        ...

    def start(self) -> None:
        """Start the server and wait until it answers. Raises ServerFailed or ConfigurationError."""
        ...

    def restart(self) -> None:
        """Start the server again at the same address. Raises ServerFailed."""
        ...

    def stop(self) -> None:
        """Stop the server gracefully."""
        ...


class SupervisedServer:
    """Runs a server until `stop`."""

    def __init__(self, name: str, server: Server, say: Say) -> None:
        """`say` receives a message whenever the server ends by itself."""
        self._name = name
        self._server = server
        self._say = say
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> asyncio.Task[None]:
        """Start the server; return the task that restarts it. Raises ServerFailed or ConfigurationError."""
        await asyncio.to_thread(self._server.start)
        self._task = asyncio.create_task(self._run(), name=f"supervise {self._name}")
        return self._task

    async def stop(self) -> None:
        """Stop the server gracefully."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
        await asyncio.to_thread(self._server.stop)

    async def _run(self) -> None:
        backoff = RestartBackoff()
        started = time.monotonic()
        while not await wait(self._stop, _POLL_SECONDS):
            if self._server.pid is not None:
                continue
            backoff = backoff.after(time.monotonic() - started)
            self._say(f"{self._name} ended by itself; starting again in {backoff.delay:g} s")
            if await wait(self._stop, backoff.delay):
                return
            started = time.monotonic()
            try:
                await asyncio.to_thread(self._server.restart)
            except ServerFailed as failure:
                self._say(f"{self._name} did not start: {failure}")
