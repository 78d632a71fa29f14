"""Workers and maintenance are killed repeatedly at random while events arrive. `make chaos` runs this for longer.

All random choices come from the seed, which is part of the test's name.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from runtime.settings import Settings
from schemas.accepted import AcceptedEvent
from stream.entries.lag import measure
from stream.server.connection import Redis
from tests.support.checker import assert_nothing_lost
from tests.support.crowd import Crowd
from tests.support.traffic import append_with_poison, demo_traffic
from tests.support.waiting import eventually

EVENTS = 1500
DEATHS = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first: int = metafunc.config.getoption("chaos_seed")
    rounds: int = metafunc.config.getoption("chaos_rounds")
    metafunc.parametrize("seed", range(first, first + rounds), ids=lambda seed: f"seed-{seed}")


async def test_any_number_of_deaths_changes_nothing(settings: Settings, redis: Redis, seed: int) -> None:
    rng = random.Random(seed)
    events = demo_traffic(EVENTS, seed)
    crowd = Crowd(settings, rng)
    sending = asyncio.create_task(send_until(lambda: crowd.deaths >= DEATHS, redis, events, rng))
    try:
        await crowd.live_and_die_until(sending)
        sent = sending.result()
        await crowd.revive()
        await assert_nothing_lost(settings, accepted=sent, sent=sent)
    finally:
        sending.cancel()
        await crowd.end()


async def send_until(
    enough: Callable[[], bool], redis: Redis, events: Sequence[AcceptedEvent], rng: random.Random
) -> set[UUID]:
    """Append the events in parts, each once the previous one is settled. Start again when all are sent."""
    sent: set[UUID] = set()
    at = 0
    while not enough():
        bit = rng.randint(50, 300)
        sent |= await append_with_poison(redis, events[at : at + bit], every=50)
        at = (at + bit) % len(events)
        await eventually(lambda: all_settled(redis))
    return sent


async def all_settled(redis: Redis) -> bool:
    return (await measure(redis, 0)).oldest_unsettled_at is None
