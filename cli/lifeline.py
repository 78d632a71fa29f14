"""How a supervised process ends with its supervisor, even when that one is killed.

The supervisor holds the writing end of the process's standard input and writes nothing. The kernel closes it when the
supervisor is gone, however it went.
"""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "ANALYTICS_LIFELINE"


def follow() -> None:
    """Where the supervisor asks for it, send this process SIGTERM once the supervisor is gone. Returns at once."""
    if os.environ.pop(VARIABLE, None) == "stdin":
        threading.Thread(target=_end_with_stdin, name="lifeline", daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
