"""Ports on this machine's own address."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: a port whose last connections are still closing is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """Return a port that is free now; nothing keeps it free.

    It lies below those the system gives to outgoing connections: there, a client that tries to reach a stopped
    server can be given the server's own port and take its place.
    """
    while not is_free(port := random.randrange(20_000, 32_000)):
        pass
    return port


def remembered(file: Path) -> int:
    """Return the port written in the file when it is still free, so that URLs outlive restarts; else any free one."""
    try:
        port = int(file.read_text())
    except (FileNotFoundError, ValueError):
        return any_free()
    return port if 0 < port < 65_536 and is_free(port) else any_free()
