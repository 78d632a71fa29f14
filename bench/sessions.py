"""Samples what the database sessions of workers do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg

_LOOK_SECONDS: Final = 0.005

# a session that is idle in a transaction waits for its worker, which prepares or reads something
_LOOK: Final = """
SELECT CASE
    WHEN state LIKE 'idle in transaction%' THEN 'worker'
    WHEN wait_event_type IS NULL THEN 'computing'
    WHEN wait_event_type = 'Client' THEN 'worker'
    ELSE lower(wait_event_type)
END
FROM pg_stat_activity
WHERE application_name = 'analytics-worker' AND state <> 'idle'
"""


@dataclass
class Sessions:
    """How often sessions with a transaction were seen in each state."""

    looks: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def busy(self, doing: str) -> float:
        """Return the average number of sessions that were in this state at a time."""
        return self.seen[doing] / self.looks if self.looks else 0.0

    def shares(self) -> str:
        """Return the share of each state as text, the largest first."""
        every = sum(self.seen.values())
        return ", ".join(f"{count / every:.0%} {doing}" for doing, count in self.seen.most_common())


@asynccontextmanager
async def watched(database_url: str) -> AsyncIterator[Sessions]:
    """Sample while the block runs."""
    connection = await asyncpg.connect(database_url)
    sessions = Sessions()

    async def look() -> None:
        while True:
            sessions.seen.update(row[0] for row in await connection.fetch(_LOOK))
            sessions.looks += 1
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield sessions
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await connection.close()
