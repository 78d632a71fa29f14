"""What ingest holds in memory while the stream has not answered: the events as they are stored, and nothing else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from http import HTTPStatus

import httpx

from ingest.app import build_application
from ingest.append_queue import AppendQueue
from ingest.backpressure import Limits, PressureGauge
from ingest.intake import Intake
from ingest.routes import BATCH, EventRoutes
from ingest.server import acceptance_policy
from runtime.errors import StreamUnavailable
from runtime.settings import Settings
from schemas.entry import WireEvent
from schemas.events import MODELS
from stream.server.load import StreamLoad
from tests.support.access import PSEUDONYM_KEYS
from web.credentials import AccessKeys, ApiKey

KEY = "a write key that is only used here"
EVENT = {"event_type": "xp_earned", "user_id": "anna", "properties": {"xp_amount": 1}}
MODEL = MODELS["xp_earned"]


class Slow:
    """A stream that answers when it is released."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.released = asyncio.Event()

    async def append(self, _events: Sequence[WireEvent]) -> None:
        self.waits.set()
        await self.released.wait()


async def unmeasured() -> StreamLoad:
    raise StreamUnavailable("connection")


def parsed_events() -> int:
    gc.collect()
    return sum(isinstance(one, MODEL) for one in gc.get_objects())


async def test_the_parsed_events_of_a_batch_are_freed_before_the_stream_answers() -> None:
    settings = Settings.model_validate({"environment": "dev", "pseudonym_keys": PSEUDONYM_KEYS})
    stream = Slow()
    keys = AccessKeys([(KEY, ApiKey("tests", frozenset({"events:write"})))])
    gauge = PressureGauge(unmeasured, Limits.of(settings))
    intake = Intake(keys, acceptance_policy(settings), AppendQueue(stream), gauge)
    transport = httpx.ASGITransport(build_application(EventRoutes(intake).routes))
    before = parsed_events()
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        sending = asyncio.create_task(client.post(BATCH, json=[EVENT] * 50, headers={"X-API-Key": KEY}))
        await stream.waits.wait()
        assert parsed_events() == before
        stream.released.set()
        assert (await sending).status_code == HTTPStatus.ACCEPTED
