"""The life of a system: traffic while workers are killed, operations by its operators, and its answers afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx

from runtime.embedded.ports import LOOPBACK, any_free
from storage.retention.partition_weeks import GRACE
from tests.oracle.asking import moments
from tests.oracle.comparison import Judge
from tests.oracle.history import Sent
from tests.oracle.scenario import Event, spelled
from tests.oracle.sending import send_at_once
from tests.oracle.shape import Shape
from tests.support.access import ADMIN_KEY
from tests.support.assembled import answering, settled
from tests.support.crowd import Crowd
from tests.support.events import uuid7
from tests.support.fleet import answers, running
from tests.support.reading import bearer
from tests.support.waiting import eventually

DEATHS = 3
"""Number of killed workers, unless everything is settled before."""

WEEK = timedelta(days=7)
"""Raw events are removed by the week of their ids."""


class Life:
    """A system and all events sent to it."""

    def __init__(self, shape: Shape, place: Path, learners: Sequence[str], rng: random.Random, *, hits: int) -> None:
        """A worker is killed at one of its first `hits` failpoints."""
        self.shape = shape
        self.deaths = 0
        self.compared = 0
        self._place = place
        self._learners = learners
        self._rng = rng
        self._hits = hits
        self._sent: list[Sent] = []
        self._erased: list[str] = []
        self._rotations = 0

    async def live(self, events: Sequence[Event]) -> None:
        """Send events over HTTP while workers and maintenance are killed, until everything is settled.

        No two of the events may have the same id and different content.
        """
        port = any_free()
        url = f"http://{LOOPBACK}:{port}"
        environment = {**self.shape.environment, "ANALYTICS_INGEST_PORT": str(port)}
        crowd = Crowd(self.shape.settings, self._rng, self.shape.environment, hits=self._hits)
        # this maintenance leads, so that the one of the crowd stands by and only workers are killed
        async with running(self.shape.settings, ["maintenance", "ingest"], **environment):
            async with httpx.AsyncClient(base_url=url) as client:
                await eventually(lambda: answers(client))
            sending = asyncio.create_task(self._send(url, events, crowd))
            try:
                await crowd.live_and_die_until(sending)
                self._sent += sending.result()
                await crowd.revive()
                await settled(self.shape.settings)
            finally:
                sending.cancel()
                await crowd.end()
        self.deaths += crowd.deaths

    async def _send(self, url: str, events: Sequence[Event], crowd: Crowd) -> list[Sent]:
        sent = await send_at_once(url, events, self._rng, key=self._rotations)
        settling = asyncio.create_task(settled(self.shape.settings))
        await eventually(lambda: crowd.deaths >= DEATHS or settling.done())
        settling.cancel()
        erased = set(map(str, self._erased))
        return [each for each in sent if _name(each) not in erased]

    async def judge(self) -> None:
        """Compare every number of every learner and of the platform at several moments."""
        asked_at = [datetime.now(UTC)]
        async with (
            answering(self.shape.settings, clock=lambda: asked_at[0]) as address,
            httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client,
        ):
            judge = Judge(client, self._sent, self._rng, self._erased)
            for moment in moments(asked_at[0], self._rng):
                asked_at[0] = moment
                for name in self._learners:
                    await judge.judge_learner(spelled(name, self._rng), windows=1)
                await judge.judge_platform()
        self.compared += judge.compared

    async def rotate_keys(self) -> None:
        """Give every process a new pseudonym key."""
        self.shape = await self.shape.with_new_key(self._place)
        self._rotations += 1

    def resize(self, partitions: int) -> None:
        """Give every process another number of partitions."""
        self.shape = replace(self.shape, partitions=partitions)

    async def replay(self) -> None:
        """Replay everything that the stream has."""
        ended = await self.shape.operate(self._place, "replay", "--from", "1d", "--json")
        # exit code 1: the stream does not reach back that far
        assert ended.code in (0, 1), ended.err

    async def verify(self) -> None:
        """Compare every aggregate with a recomputation, and the books with the stream."""
        ended = await self.shape.operate(self._place, "verify")
        assert ended.code == 0, ended.out + ended.err

    async def erase(self, name: str) -> None:
        """Erase a learner, and wait until it is done."""
        admin = bearer(ADMIN_KEY)
        async with (
            running(self.shape.settings, ["maintenance"], **self.shape.environment),
            answering(self.shape.settings) as address,
            httpx.AsyncClient(base_url=f"http://{address}", headers=admin) as client,
        ):
            job = (await client.delete(f"/api/analytics/privacy/users/{name}")).json()["job_id"]

            async def is_done() -> bool:
                receipt = (await client.get(f"/api/analytics/privacy/jobs/{job}")).json()
                return bool(receipt["state"] == "done")

            await eventually(is_done)
        self._erased.append(name)

    async def keep_raw_events(self, days: int) -> None:
        """Limit the retention of raw events to `days`, and wait until all older partitions are removed."""
        self.shape = replace(self.shape, raw_days=days)
        newest_to_go = uuid7(datetime.now(UTC) - timedelta(days=days) - GRACE - WEEK, 0)
        database = await asyncpg.connect(self.shape.settings.database_dsn)
        try:
            async with running(self.shape.settings, ["maintenance"], **self.shape.environment):

                async def are_gone() -> bool:
                    return not await database.fetchval(
                        "SELECT EXISTS (SELECT FROM analytics_events WHERE event_id < $1)", newest_to_go
                    )

                await eventually(are_gone)
        finally:
            await database.close()


def _name(sent: Sent) -> str:
    return str(sent.event.get("user_id"))
