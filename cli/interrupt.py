"""Work that a signal ends."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from runtime.lifecycle import run_until_stopped, stop_on_signals

T = TypeVar("T")

INTERRUPTED: Final = 130
"""Exit code after SIGINT or SIGTERM, as in shells."""


async def unless_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """Return what the work returns; None when SIGTERM or SIGINT came first, after the work is cancelled.

    Raises what the work raises.
    """
    with stop_on_signals() as stop:
        return await run_until_stopped(work, stop)
