"""Prints each XP event as it arrives, until Ctrl-C: `python -m examples.xp_subscriber`.

Reads ANALYTICS_DASHBOARD_URL and ANALYTICS_READ_KEY.
"""

from __future__ import annotations

import asyncio
import contextlib

from studyin_analytics import EventType, get_event_bus
from studyin_analytics.schemas.live import LiveEvent, XpEarnedEvent


async def print_xp(event: LiveEvent) -> None:
    """Print a line about one event."""
    assert isinstance(event, XpEarnedEvent)
    learner = (event.user_hash or "")[:12]
    print(f"{event.occurred_at:%H:%M:%S}  {learner}  +{event.xp_amount} XP", flush=True)


async def main() -> None:
    """Follow events until cancelled."""
    bus = get_event_bus()
    await bus.subscribe([EventType.XP_EARNED], print_xp)
    await bus.start_listening()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
