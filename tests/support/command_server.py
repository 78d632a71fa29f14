"""A process that has imported every command and forks a child for each one that is run.

Run as `python -m tests.support.command_server DIRECTORY LISTENER`. It ends, with all children, at the end of its
standard input, which its parent holds open; then it removes the directory of its socket.

The child becomes what the client (command_client.py) is, and returns to the interpreter. The interpreter runs
`cli.main` and exits as if it had been started as `python -m cli.main`: the same exit codes, tracebacks, flushes. What
differs is the process: its command line, parent, session and resource limits, and variables that a library or the
interpreter reads while it is imported or started, such as WEBSOCKETS_* and PYTHONHASHSEED.
"""

from __future__ import annotations

import array
import atexit
import gc
import io
import locale
import marshal
import os
import runpy
import shutil
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Literal

from tests.support.command_client import FORWARDED

STREAMS = ("stdin", "stdout", "stderr")
LATE_IMPORTS = ("anyio._backends._asyncio", "certifi", "h11", "httpcore", "typer._adapters")
"""Modules that libraries import at their first use, in most commands."""


@dataclass(frozen=True)
class Request:
    """What the interpreter of the client found at its start."""

    arguments: list[bytes]
    environment: dict[bytes, bytes]
    directory: bytes
    umask: int
    ignored: list[int]
    streams: list[tuple[str, str, bool, bool] | None]
    warnings: list[Literal["default", "error", "ignore", "always"]]
    file_names: str
    files: list[int]
    """Descriptors of the open streams, in their order."""


class CommandServer:
    """Forks commands for clients, one by one, and reports how they end."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._clients: dict[int, socket.socket] = {}
        self._selector = DefaultSelector()
        self._ended, wakeup = socket.socketpair()
        for each in (self._ended, wakeup):
            each.setblocking(False)
        self._wakeup = wakeup
        for file in (sys.stdin, listener, self._ended):
            self._selector.register(file, EVENT_READ)

    def run(self) -> Request | None:
        """Serve until standard input ends, and return None. In a child that was forked, return its request."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup.fileno())
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    self._kill_all()
                    return None
                if key.fileobj is self._ended:
                    self._report()
                elif key.fileobj is self._listener:
                    if request := self._fork():
                        return request
                else:
                    self._forward(key.data)

    def _fork(self) -> Request | None:
        connection, _ = self._listener.accept()
        request = _received(connection)
        if request is None:
            connection.close()
            return None
        pid = os.fork()
        if pid == 0:
            connection.close()
            self._close()
            return request
        for file in request.files:
            os.close(file)
        self._clients[pid] = connection
        self._selector.register(connection, EVENT_READ, pid)
        return None

    def _forward(self, pid: int) -> None:
        # a report in the same round may have closed the connection
        if (connection := self._clients.get(pid)) is None:
            return
        try:
            numbers = connection.recv(64)
        except ConnectionResetError:
            numbers = b""
        for number in numbers or [signal.SIGKILL]:
            os.kill(pid, number)
        if not numbers:
            self._selector.unregister(connection)

    def _report(self) -> None:
        self._ended.recv(4096)
        while self._clients:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            connection = self._clients.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(connection)
            with suppress(OSError):
                connection.send(os.waitstatus_to_exitcode(status).to_bytes(2, "big", signed=True))
            connection.close()

    def _kill_all(self) -> None:
        for pid in self._clients:
            os.kill(pid, signal.SIGKILL)

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for each in (self._listener, self._ended, self._wakeup, *self._clients.values()):
            each.close()


def _received(connection: socket.socket) -> Request | None:
    files = array.array("i")
    head, rights, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(len(STREAMS) * files.itemsize))
    for _, _, data in rights:
        files.frombytes(data)
    with connection.makefile("rb") as stream:
        content = stream.read(int.from_bytes(head, "big"))
    # a client that was killed sends less
    return Request(**marshal.loads(content), files=list(files)) if content else None


def _become(request: Request) -> None:
    """Give this process what the client has."""
    if request.file_names != sys.getfilesystemencoding():
        raise ValueError(f"file names are {request.file_names} there: this test needs a real start")
    os.setsid()
    os.umask(request.umask)
    os.chdir(request.directory)
    os.environ.clear()
    os.environb.update(request.environment)
    # as the interpreter does, which goes on without a locale that is not installed
    with suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    time.tzset()
    for number in FORWARDED:
        # this process may ignore others than the client
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for ignored in request.ignored:
        signal.signal(ignored, signal.SIG_IGN)
    files = iter(request.files)
    for fd, name in enumerate(STREAMS):
        stream = request.streams[fd]
        if stream is None:
            os.close(fd)
        else:
            file = next(files)
            os.dup2(file, fd)
            os.close(file)
        opened = stream and _opened(fd, name, *stream)
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    sys.warnoptions[:] = request.warnings
    for action in request.warnings:
        warnings.simplefilter(action)
    sys.argv[1:] = map(os.fsdecode, request.arguments)
    sys.path[0] = os.getcwd()


def _opened(fd: int, name: str, encoding: str, errors: str, line_buffering: bool, write_through: bool) -> Any:
    """Return a text stream as the interpreter makes it at its start."""
    mode = "w" if fd else "r"
    raw = io.FileIO(fd, mode, closefd=False)
    raw.name = f"<{name}>"
    size = os.fstat(fd).st_blksize
    buffer = raw if write_through else io.BufferedWriter(raw, size) if fd else io.BufferedReader(raw, size)
    text = io.TextIOWrapper(
        buffer, encoding, errors, newline="\n", line_buffering=line_buffering, write_through=write_through
    )
    vars(text)["mode"] = mode
    return text


def _import_commands() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in LATE_IMPORTS:
            import_module(name)
        # not imported as a module, which would be there before it runs as the main one
        runpy.run_module("cli.main")["application"]()
    _never_destroy_modules()


def _never_destroy_modules() -> None:
    """Keep what is imported now as it is until the process is gone. Its destruction takes longer than most commands."""
    names = list(sys.modules)
    kept: list[object] = [sys.modules.copy()]
    kept.append(kept)
    gc.collect()
    # a cycle that is frozen is never collected; and children go on sharing this memory
    gc.freeze()
    atexit.register(lambda: [sys.modules.pop(name, None) for name in names if name not in ("sys", "builtins")])


def _serve() -> None:
    """Return in a child, ready to run its command. Ends the server itself."""
    directory, listener = sys.argv[1:]
    _import_commands()
    request = CommandServer(socket.socket(fileno=int(listener))).run()
    if request is None:
        shutil.rmtree(directory)
        sys.exit()
    _become(request)


if __name__ == "__main__":
    _serve()
    runpy.run_module("cli.main", run_name="__main__", alter_sys=True)
