"""Polls a condition until it holds. The deadline is the time limit of the test."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PAUSE_SECONDS = 0.01


async def eventually(holds: Callable[[], object | Awaitable[object]], pause_seconds: float = PAUSE_SECONDS) -> None:
    """Return when the condition holds. A condition that costs much is checked less often."""
    while True:
        answer = holds()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        await asyncio.sleep(pause_seconds)
