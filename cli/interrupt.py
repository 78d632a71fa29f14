"""Runs work that a signal interrupts."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from runtime.lifecycle import run_until_stopped, stop_on_signals

T = TypeVar("T")

INTERRUPTED: Final = 130
"""Exit code after SIGINT or SIGTERM, as in shells."""


async def run_unless_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of the work, or None when SIGTERM or SIGINT arrived first and the work was cancelled.

    Raises what the work raises.
    """
    with stop_on_signals() as stop:
        return await run_until_stopped(work, stop)
