"""Puts the read service together and runs it until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from dashboard.app import create_app
from dashboard.callers import Gate
from dashboard.freshness import Freshness
from dashboard.health import readiness
from dashboard.levels import LevelCurve
from dashboard.privacy_desk import PrivacyDesk
from dashboard.services import Services
from runtime.clock import utc_now
from runtime.errors import ConfigurationError
from runtime.http_server import serve_http
from runtime.lifecycle import stop_on_signals
from runtime.settings import Settings
from storage.answers import Answers
from storage.migrate import head_revision
from storage.pool import open_pool
from stream.connection import connect
from stream.health import ping
from stream.lag import GroupLag, consistent_through, measure
from telemetry import events, metrics
from telemetry.exposition import publish_build

_NAME: Final = "dashboard"
_SHORTEST_SECRET: Final = 32
"""Bytes of an HS256 secret (RFC 7518, 3.2)."""


async def serve(settings: Settings) -> None:
    """Answer until told to stop, finish what is in flight, return. Raises ConfigurationError or StorageUnavailable."""
    with stop_on_signals() as stop:
        async with open_services(settings) as services:
            freshness = asyncio.create_task(services.freshness.keep(stop), name="freshness")
            # without it answers would look ever staler: the process ends with it
            freshness.add_done_callback(lambda _: stop.set())
            events.process_started(_NAME, publish_build())
            try:
                await serve_http(create_app(services, stop), settings.dashboard_host, settings.dashboard_port, stop)
            finally:
                stop.set()
                await freshness
    events.process_stopped(_NAME)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connect what the routes need, for as long as the block runs. Raises ConfigurationError or StorageUnavailable."""
    gate = Gate(settings.access_keys(), _jwt_secret(settings), settings.pseudonymizer())
    partitions = range(settings.stream_partitions)
    async with AsyncExitStack() as stack:
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        pool = await open_pool(
            settings.database_dsn, size=settings.db_pool_size, application_name="studyin-dashboard", read_only=True
        )
        stack.push_async_callback(pool.close)
        metrics.POOL_CONNECTIONS.labels("idle").set_function(pool.get_idle_size)
        metrics.POOL_CONNECTIONS.labels("used").set_function(lambda: pool.get_size() - pool.get_idle_size())
        answers = Answers(pool)

        async def sample() -> datetime:
            return await consistent_through(redis, partitions)

        async def lags() -> Sequence[GroupLag]:
            return [await measure(redis, partition) for partition in partitions]

        async def ping_redis() -> str:
            return await ping(redis)

        yield Services(
            answers=answers,
            freshness=Freshness(sample, utc_now),
            gate=gate,
            desk=PrivacyDesk(settings.database_dsn, redis, partitions, utc_now),
            curve=LevelCurve(settings.level_base_xp, settings.level_growth_xp),
            session_timeout=timedelta(minutes=settings.session_timeout_minutes),
            min_group_size=settings.min_group_size,
            checks=readiness(answers, head_revision(), ping_redis, lags),
            clock=utc_now,
            shows_page=settings.environment == "dev",
        )


def _jwt_secret(settings: Settings) -> str | None:
    if settings.jwt_secret is None:
        return None
    secret = settings.jwt_secret.get_secret_value()
    if len(secret.encode()) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"ANALYTICS_JWT_SECRET is shorter than {_SHORTEST_SECRET} bytes; make one with `openssl rand -hex 32`"
        )
    return secret
