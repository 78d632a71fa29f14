"""The name of a consumer in its group."""

from __future__ import annotations

import os
import secrets
import socket


def consumer_name() -> str:
    """Return a name that no other process has, not even this one after a restart."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
