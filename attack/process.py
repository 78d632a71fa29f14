"""Reads the memory, processor time, log and metrics of a service from Linux and from its own pages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attack.asking import ask

_SERIES_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Process:
    """A running service."""

    name: str
    pid: int
    port: int
    log: Path

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def resident_bytes(self) -> int:
        """Return the resident memory in bytes; 0 when the process is dead."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)

    def cpu_seconds(self) -> float:
        """Return the processor time of its threads, to the microsecond."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                # a thread that has just ended
                continue
        return total / 1e9

    def waited_seconds(self) -> float:
        """Return how long the main thread was runnable without a processor, in seconds; 0 when it is dead."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            return 0.0

    def log_bytes(self) -> int:
        """Return the size of the log in bytes."""
        return self.log.stat().st_size

    async def series(self) -> frozenset[str]:
        """Return the names and labels of the metrics. Raises OSError or TimeoutError without an answer."""
        async with asyncio.timeout(_SERIES_SECONDS):
            _, _, page = (await ask(self.port, "/metrics")).partition(b"\r\n\r\n")
        lines = page.decode("utf-8", "replace").splitlines()
        return frozenset(line.rpartition(" ")[0] for line in lines if line and not line.startswith("#"))
