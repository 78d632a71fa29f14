"""Command lines of `analytics` for tests."""

from __future__ import annotations

import atexit
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.support import command_client, command_server

_ROOT = Path(__file__).parents[2]


def command_line(*arguments: str) -> list[str]:
    """Return a program and its arguments that run a command, for subprocess, asyncio or a shell.

    A server forks the command in a tenth of the processor time of a real start, from which it differs by its process
    only; see command_server.py. The first call starts the server, which ends with this process.
    """
    return [sys.executable, "-sSP", command_client.__file__, _server(), *arguments]


def real_command_line(*arguments: str) -> list[str]:
    """Return the arguments of a real start, for services and for tests about the process itself."""
    return [sys.executable, "-m", "cli.main", *arguments]


@cache
def _server() -> str:
    directory = tempfile.mkdtemp(prefix="commands-")
    path = f"{directory}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, "-m", command_server.__name__, directory, str(listener.fileno())],
            cwd=_ROOT,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    atexit.register(_end, server)
    return path


def _end(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()
