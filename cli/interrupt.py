"""Runs work that a signal interrupts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from runtime.lifecycle import stop_on_signals

T = TypeVar("T")

INTERRUPTED: Final = 130
"""Exit code after SIGINT or SIGTERM, as in shells."""


async def run_unless_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of the work, or None when SIGTERM or SIGINT arrived first and the work was cancelled.

    Raises what the work raises.
    """
    with stop_on_signals() as stop:
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.wait((working, stopping))
