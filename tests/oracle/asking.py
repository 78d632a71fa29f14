"""The times at which answers are requested."""

from __future__ import annotations

import random
from datetime import datetime, timedelta


def moments(now: datetime, rng: random.Random) -> list[datetime]:
    """Return now, a border of five minutes, a border of a day, and a moment within the events."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=rng.randint(0, 3))
    border = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0)
    middle = now - timedelta(seconds=rng.uniform(0, 20 * 86_400))
    return [now, border, midnight, midnight - timedelta(microseconds=1), middle]
