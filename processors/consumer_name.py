"""How a worker is called in its group."""

from __future__ import annotations

import os
import secrets
import socket


def consumer_name() -> str:
    """Return a name no other process has, now or after a restart."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
