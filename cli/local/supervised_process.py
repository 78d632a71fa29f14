"""Runs one service as a child process, restarts it when it ends by itself, and stops it gracefully."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.local import parent_watch
from cli.local.backoff import RestartBackoff
from cli.local.inherited_environment import inherited_environment
from cli.local.owned_files import open_own_file
from runtime.errors import DependencyUnavailable
from runtime.lifecycle import wait

GRACE_SECONDS = 30.0
READY_SECONDS = 60.0
_POLL_SECONDS = 0.1
_LONGEST_LOG_BYTES = 10 * 1024**2
_BAD_SETTINGS = 2

Say = Callable[[str], None]


class ServiceFailed(DependencyUnavailable):
    """A process did not become ready. The detail ends with the last lines of its log."""

    dependency = "service"


@dataclass(frozen=True, slots=True)
class Program:
    """A process to run."""

    name: str
    arguments: tuple[str, ...]
    """Command line of `analytics`."""
    environment: Mapping[str, str]
    """Variables in addition to the inherited ones, with all secrets of the process."""
    ready_url: str | None = None
    """URL that answers 200 when the process is ready; None if it has none."""


class SupervisedProcess:
    """Runs a program until `stop`. Its output goes to a log file."""

    def __init__(self, program: Program, log_directory: Path, say: Say) -> None:
        """`say` receives a message whenever the process ends by itself."""
        self._program = program
        self._log = log_directory / f"{program.name}.log"
        self._say = say
        self._stop = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._was_ready = False

    @property
    def name(self) -> str:
        """Name of the process."""
        return self._program.name

    def start(self) -> asyncio.Task[None]:
        """Start the process; return the task that restarts it.

        The task ends after `stop`. It raises ServiceFailed, or ConfigurationError when the log file is refused.
        """
        self._task = asyncio.create_task(self._run(), name=f"supervise {self.name}")
        return self._task

    async def until_ready(self) -> None:
        """Wait until the process is ready. Raises ServiceFailed after READY_SECONDS."""
        if self._program.ready_url is None:
            return
        deadline = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while not await _answers(client, self._program.ready_url):
                if time.monotonic() > deadline:
                    raise ServiceFailed("not ready", f"{self.name} after {READY_SECONDS:.0f} s: {self._log_tail()}")
                await asyncio.sleep(_POLL_SECONDS)
        self._was_ready = True

    async def stop(self, hurry: asyncio.Event) -> None:
        """Send SIGTERM and wait for the end. Kills the process after GRACE_SECONDS or when `hurry` is set."""
        self._stop.set()
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            ended = asyncio.ensure_future(process.wait())
            impatient = asyncio.ensure_future(hurry.wait())
            await asyncio.wait((ended, impatient), timeout=GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            impatient.cancel()
            if process.returncode is None:
                self._say(f"{self.name} did not stop in time and is killed")
                process.kill()
            await ended
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        backoff = RestartBackoff()
        while not self._stop.is_set():
            started = time.monotonic()
            self._process = await self._spawn()
            code = await self._process.wait()
            if self._stop.is_set():
                return
            if code == _BAD_SETTINGS and not self._was_ready:
                raise ServiceFailed("bad settings", f"{self.name}: {self._log_tail()}")
            backoff = backoff.after(time.monotonic() - started)
            self._say(f"{self.name} {self._end_of(code)}; starting again in {backoff.delay:g} s")
            await wait(self._stop, backoff.delay)

    async def _spawn(self) -> asyncio.subprocess.Process:
        with os.fdopen(self._open_log(), "ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "cli.main",
                *self._program.arguments,
                env={**inherited_environment(os.environ), **self._program.environment, parent_watch.VARIABLE: "stdin"},
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C must reach only the supervisor, which stops the processes in order
                start_new_session=True,
            )

    def _open_log(self) -> int:
        descriptor = open_own_file(self._log, os.O_APPEND)
        if os.fstat(descriptor).st_size <= _LONGEST_LOG_BYTES:
            return descriptor
        os.close(descriptor)
        self._log.replace(self._log.with_suffix(".log.1"))
        return open_own_file(self._log, os.O_APPEND)

    def _end_of(self, code: int) -> str:
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with code {code}: {self._log_tail(1)}"

    def _log_tail(self, lines: int = 5) -> str:
        text = self._log.read_text(errors="replace").strip() if self._log.exists() else ""
        return f"{' | '.join(text.splitlines()[-lines:]) or 'no output'} (see {self._log})"


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        response = await client.get(url)
    except httpx.TransportError:
        return False
    return response.status_code == httpx.codes.OK
