"""Every number of events that were sent over HTTP and stored by workers is what the documents define."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime

import httpx
import pytest

from runtime.settings import Settings
from tests.oracle.asking import moments
from tests.oracle.comparison import Judge
from tests.oracle.scenario import Author, names, spelled
from tests.oracle.sending import send_in_order
from tests.support.assembled import assembled

REQUESTS_OF_EACH = 40


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.timeout(600)
async def test_every_number_is_that_of_the_documents(
    settings: Settings, request: pytest.FixtureRequest, partitions: int
) -> None:
    seed: int = request.config.getoption("chaos_seed") + partitions
    count: int = request.config.getoption("oracle_learners")
    of_each: int = request.config.getoption("oracle_events")
    rng = random.Random(seed)
    now = datetime.now(UTC)
    learners = names(seed, count)
    author = Author(seed, now, days=45, learners=learners)
    events = author.events(of_each=of_each, requests=count * REQUESTS_OF_EACH)
    sends = author.mixed(events, author.repeats(events), author.unequal_repeats(events))
    asked_at = [now]
    shape = settings.model_copy(update={"stream_partitions": partitions})
    async with assembled(shape, clock=lambda: asked_at[0]) as system:
        sent = await send_in_order(f"http://{system.ingest}", sends, rng)
        await system.settled()
        async with httpx.AsyncClient(base_url=f"http://{system.dashboard}", timeout=60) as client:
            judge = Judge(client, sent, rng)
            for moment in moments(now, rng):
                asked_at[0] = moment
                for name in learners:
                    await judge.judge_learner(spelled(name, rng), windows=2)
                await judge.judge_learner("nobody-knows", windows=1)
                await judge.judge_platform()
    logging.getLogger(__name__).warning("%s numbers compared", f"{judge.compared:,}")
