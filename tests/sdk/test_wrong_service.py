"""A client of one service at the URL of the other: it reports the mistake and does not retry silently."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from studyin_analytics import AnalyticsError, Client, DeliveryRefused, EventBus, SubscriptionRefused

from dashboard.app import create_app as create_dashboard
from dashboard.server import open_services
from ingest.server import create_app as create_ingest
from runtime.settings import Settings
from tests.sdk.conftest import HOUR
from tests.support.access import EVENTS_KEY, WRITE_KEY
from tests.support.serving import served
from tests.support.waiting import eventually


async def test_a_bus_at_ingest_is_refused_and_told_why(settings: Settings, redis: Redis) -> None:
    async with served(create_ingest(settings, redis, asyncio.Event())) as place:
        bus = EventBus(f"http://{place}", key=EVENTS_KEY)
        await bus.subscribe(None, lambda _: None)
        with pytest.raises(SubscriptionRefused, match="is this the URL of the read service"):
            await bus.start_listening()


async def test_a_client_at_the_read_service_is_told_once(settings: Settings) -> None:
    told: list[AnalyticsError] = []
    async with (
        open_services(settings) as services,
        served(create_dashboard(services, asyncio.Event())) as place,
    ):
        client = Client(
            f"http://{place}",
            write_key=WRITE_KEY,
            on_error=told.append,
            flush_interval=HOUR,
            first_retry=0.01,
            refused_retry=0.01,
        )
        client.track("xp_earned", user_id="u", properties={"xp_amount": 5})
        await asyncio.to_thread(client.flush, 0)
        await eventually(lambda: client.stats().retried > 3)
        [refused] = told
        assert isinstance(refused, DeliveryRefused)
        assert "check that url is the URL of ingest" in str(refused)
        await asyncio.to_thread(client.shutdown, 0)
