"""Faults during a soak: kills and freezes processes, cuts connections. All randomness comes from the seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Final

import asyncpg

from tests.support.processes import children

FROZEN_SECONDS: Final = 8.0

# a word of the command line, and the name in the report
_VICTIMS: Final = {
    "worker --group store": "worker",
    "worker --group live": "live worker",
    "cli.main ingest": "ingest",
    "cli.main maintenance": "maintenance",
    "cli.main dashboard": "dashboard",
    "valkey-server": "Redis",
    "bin/postgres": "Postgres",
}


class Faults:
    """Injects faults into the children of one `analytics up`."""

    def __init__(self, starter: int, database_url: str, seed: int, longest_pause: float) -> None:
        """`starter` is the process id of `analytics up`; `longest_pause` is the maximum pause in seconds."""
        self.done: Counter[str] = Counter()
        self._starter = starter
        self._database_url = database_url
        self._rng = random.Random(f"faults {seed}")
        self._longest_pause = longest_pause

    async def run(self, over: asyncio.Event) -> None:
        """Inject faults until `over` is set."""
        while not over.is_set():
            try:
                await asyncio.wait_for(over.wait(), self._rng.uniform(self._longest_pause / 4, self._longest_pause))
            except TimeoutError:
                await self._rng.choice((self._kill, self._kill, self._kill, self._freeze, self._cut))()

    async def _kill(self) -> None:
        name = self._rng.choice(tuple(_VICTIMS.values()))
        for pid in self._find(name):
            os.kill(pid, signal.SIGKILL)
            self.done[f"kill -9 {name}"] += 1

    async def _freeze(self) -> None:
        for pid in self._find("worker"):
            os.kill(pid, signal.SIGSTOP)
            self.done["a worker frozen"] += 1
            await asyncio.sleep(FROZEN_SECONDS)
            os.kill(pid, signal.SIGCONT)

    async def _cut(self) -> None:
        try:
            connection = await asyncpg.connect(self._database_url, timeout=2)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE '%analytics%' AND pid <> pg_backend_pid()"
            )
            self.done["every connection to Postgres cut"] += 1
        finally:
            await connection.close()

    def _find(self, name: str) -> list[int]:
        """Return one process with this name; none while it is being restarted."""
        word = next(word for word, called in _VICTIMS.items() if called == name)
        found = [pid for pid, arguments in children(self._starter).items() if word in arguments]
        return [self._rng.choice(sorted(found))] if found else []


def resident_bytes(starter: int) -> dict[str, int]:
    """Return the memory of each kind of process, of the largest if there are several."""
    memory: dict[str, int] = {}
    for pid, arguments in children(starter).items():
        for word, name in _VICTIMS.items():
            if word in arguments:
                memory[name] = max(memory.get(name, 0), _resident(pid))
    return memory


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
