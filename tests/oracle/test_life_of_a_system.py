"""Kills, replays, new keys, more partitions, erasure, retention: no number changes. `make chaos` runs longer."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.settings import Settings
from tests.oracle.life import Life
from tests.oracle.scenario import Author, names
from tests.oracle.shape import Shape

REQUESTS_OF_EACH = 20
RAW_DAYS = 8
"""More than the stream keeps, and less than the age of the oldest events."""
RECENT_DAYS = 3


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first: int = metafunc.config.getoption("chaos_seed")
    lives: int = metafunc.config.getoption("oracle_lives")
    none = pytest.param(0, marks=pytest.mark.skip("takes minutes: make chaos, or --oracle-lives 1"))
    seeds: list[object] = [*range(first, first + lives)]
    metafunc.parametrize("seed", seeds or [none], ids=lambda seed: f"seed-{seed}")


@pytest.mark.timeout(0)
async def test_nothing_that_happens_to_a_system_changes_an_answer(
    settings: Settings, tmp_path: Path, request: pytest.FixtureRequest, seed: int
) -> None:
    count: int = request.config.getoption("oracle_learners")
    of_each: int = request.config.getoption("oracle_events")
    rng = random.Random(seed)
    now = datetime.now(UTC)
    learners = names(seed, count)
    long_ago = Author(seed, now, days=45, learners=learners)
    lately = Author(seed + 1, now, days=RECENT_DAYS, learners=learners)
    life = Life(Shape(settings), tmp_path, learners, rng, hits=max(4, count * of_each // 3000))

    events = long_ago.events(of_each=of_each, requests=count * REQUESTS_OF_EACH)
    first, second = events[: len(events) // 2], events[len(events) // 2 :]
    await life.live(long_ago.mixed(first, long_ago.repeats(first)))
    await life.judge()

    await life.rotate_keys()
    life.resize(partitions=3)
    await life.live(long_ago.mixed(second, long_ago.repeats(events), long_ago.unequal_repeats(first)))
    await life.replay()
    await life.judge()

    await life.erase(learners[1])
    await life.keep_raw_events(days=RAW_DAYS)
    await life.replay()
    await life.judge()

    recent = lately.events(of_each=of_each // 2, requests=count)
    await life.live(lately.mixed(recent, lately.repeats(recent)))
    await life.replay()
    await life.judge()
    await life.verify()

    logging.getLogger(__name__).warning("%s numbers compared, %s deaths", f"{life.compared:,}", life.deaths)
