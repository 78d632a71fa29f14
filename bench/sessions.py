"""What the database sessions of workers do, by looking at all of them again and again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg

_LOOK_SECONDS: Final = 0.005

# one that is idle in a transaction waits for its worker, which makes or reads something meanwhile
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
    """How often a session was seen doing what, while it had a transaction."""

    looks: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def busy(self, doing: str) -> float:
        """Return how many sessions on average did this at a time."""
        return self.seen[doing] / self.looks if self.looks else 0.0

    def shares(self) -> str:
        """Return what share of its transactions went into what, for people; the most first."""
        every = sum(self.seen.values())
        return ", ".join(f"{count / every:.0%} {doing}" for doing, count in self.seen.most_common())


@asynccontextmanager
async def watched(database_url: str) -> AsyncIterator[Sessions]:
    """Look while the block runs."""
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
