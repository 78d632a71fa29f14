"""Runs the whole system as a user does, for benchmarks that send to it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.tree import THIS, Tree
from cli.local import dev_file

_POLL_SECONDS = 0.1


@asynccontextmanager
async def running(
    data_dir: Path, workers: int, tree: Tree = THIS, /, **environment: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dev_file.DevFile]]:
    """Run `analytics up` of a tree without demo traffic for the block. Yields its process and its addresses.

    `data_dir` must be absolute.
    """
    ports = ("--ingest-port", "0", "--dashboard-port", "0")
    command = tree.command("cli.main", "up", "--no-demo", "--data-dir", str(data_dir), *ports)
    command += ["--workers", str(workers)]
    with (data_dir / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tree.root, env=tree.environment() | environment, stdout=log, stderr=log
        )
    try:
        while (where := dev_file.read(data_dir)) is None:
            if process.returncode is not None:
                raise RuntimeError((data_dir / "up.log").read_text())
            await asyncio.sleep(_POLL_SECONDS)
        yield process, where
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
