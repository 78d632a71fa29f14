"""Runs commands that start servers, and leaves none of their processes behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from bench.processor import descendants, running_processes

_GRACE_SECONDS: Final = 60.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOWN: Final = 4_000
"""Characters of the output of a failed command that its error has."""


def run(command: Sequence[str], directory: Path, environment: Mapping[str, str], log: Path) -> str:
    """Run a command to its end and return its output, which is also written to `log`.

    Raises RuntimeError with the output if it fails. If this call is interrupted, the command and all processes that it
    started have ended when it returns.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C then reaches this process alone, which ends the command in order
            start_new_session=True,
        )
    try:
        code = child.wait()
    finally:
        _end(child)
    text = log.read_text(errors="replace")
    if code:
        raise RuntimeError(f"{' '.join(command)} in {directory} ended with {code}: {text[-_SHOWN:]}")
    return text


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    # as Ctrl-C in a terminal
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        # servers have sessions of their own
        for pid in descendants(running_processes(), child.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at the first signal to stop; ignore further ones until the block has ended.

    Otherwise a second Ctrl-C would interrupt the removal of what the first one left.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
