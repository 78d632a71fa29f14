"""Runs a process for the length of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def running(
    *command: str, log: Path, environment: Mapping[str, str], cwd: Path | None = None, ends_with: Collection[int] = (0,)
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command for the block, with its output in the log. SIGTERM ends it if the block does not.

    Raises AssertionError with the log unless the exit code is one of `ends_with`.
    """
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        code = await process.wait()
    assert code in ends_with, await asyncio.to_thread(log.read_text)
