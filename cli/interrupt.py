"""Work that a signal ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from runtime.lifecycle import stop_on_signals

T = TypeVar("T")

INTERRUPTED: Final = 130
"""Exit code after SIGINT or SIGTERM, as in shells."""


async def unless_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """Return what the work returns; None when SIGTERM or SIGINT came first, after the work is cancelled.

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
