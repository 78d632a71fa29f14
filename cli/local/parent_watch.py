"""Ends a supervised process with its supervisor, even when the supervisor is killed.

The supervisor holds the write end of the process's standard input and writes nothing. The kernel closes it when the
supervisor ends.
"""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "ANALYTICS_PARENT_WATCH"
"""Set to `stdin` by the supervisor."""


def exit_with_parent() -> None:
    """Send this process SIGTERM when its supervisor ends, if the supervisor set VARIABLE. Does not block."""
    if os.environ.pop(VARIABLE, None) == "stdin":
        threading.Thread(target=_exit_at_end_of_input, name="parent-watch", daemon=True).start()


def _exit_at_end_of_input() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
