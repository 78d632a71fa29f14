"""Waiting for facts: look again and again until it holds; the test's time limit is the deadline."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PAUSE_SECONDS = 0.01


async def eventually(holds: Callable[[], object | Awaitable[object]]) -> None:
    """Return once `holds` does."""
    while True:
        answer = holds()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        await asyncio.sleep(PAUSE_SECONDS)
