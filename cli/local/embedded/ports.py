"""Ports of the loopback address."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server can listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: a port whose last connections are closing is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """Return a port that is free now. It is not reserved.

    It is below the range for outgoing connections: from that range, a client that connects to a stopped server can get
    the port of the server and block it.
    """
    while not is_free(port := random.randrange(20_000, 32_000)):
        pass
    return port


def previous_or_free(file: Path) -> int:
    """Return the port in the file if it is free, so that URLs stay valid after a restart; else any free port."""
    try:
        port = int(file.read_text())
    except (FileNotFoundError, ValueError):
        return any_free()
    return port if 0 < port < 65_536 and is_free(port) else any_free()
