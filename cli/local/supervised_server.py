"""The embedded servers of `analytics up`: started together, started again when one ends by itself."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from cli.local.backoff import Backoff
from cli.local.supervised_process import Say
from runtime.embedded.process import ServerFailed
from runtime.lifecycle import wait

_LOOK_SECONDS = 0.5


class Server(Protocol):
    """What the embedded servers have in common; every method blocks."""

    @property
    def pid(self) -> int | None:
        """None when it is not running."""
        ...

    def start(self) -> None:
        """Start, and wait until it answers."""
        ...

    def restart(self) -> None:
        """Start again at the same address."""
        ...

    def stop(self) -> None:
        """End in order."""
        ...


class SupervisedServer:
    """Keeps one server running until told to stop."""

    def __init__(self, name: str, server: Server, say: Say) -> None:
        """`say` is told whenever the server ends by itself."""
        self._name = name
        self._server = server
        self._say = say
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> asyncio.Task[None]:
        """Start the server; return the task that keeps it running. Raises ServerFailed or ConfigurationError."""
        await asyncio.to_thread(self._server.start)
        self._task = asyncio.create_task(self._run(), name=f"keep {self._name}")
        return self._task

    async def stop(self) -> None:
        """End the server in order."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
        await asyncio.to_thread(self._server.stop)

    async def _run(self) -> None:
        backoff = Backoff()
        started = time.monotonic()
        while not await wait(self._stop, _LOOK_SECONDS):
            if self._server.pid is not None:
                continue
            backoff = backoff.after(time.monotonic() - started)
            self._say(f"{self._name} ended, starting again in {backoff.delay:g} s")
            if await wait(self._stop, backoff.delay):
                return
            started = time.monotonic()
            try:
                await asyncio.to_thread(self._server.restart)
            except ServerFailed as failure:
                self._say(f"{self._name} did not start: {failure}")
