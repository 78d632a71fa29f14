"""Assembles the read service and runs it until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from dashboard.access.authenticator import Authenticator
from dashboard.access.key_set_source import KeySetSource, KeySetUnavailable
from dashboard.access.learner_tokens import KeySet, TokenRules, TokenVerifier, shared_secret
from dashboard.answers.levels import LevelCurve
from dashboard.app import create_app
from dashboard.audit import AuditTrail
from dashboard.freshness import Freshness
from dashboard.health import readiness_checks
from dashboard.live.hub import Hub
from dashboard.live.subscriber_limits import SubscriberLimits
from dashboard.platform_health import PlatformHealth
from dashboard.privacy.service import PrivacyService
from dashboard.questions.live import SOCKET_PATH
from dashboard.services import Services
from runtime.clock import utc_now
from runtime.lifecycle import drain_on_signals, run_together
from runtime.settings import Settings
from storage.answers.aggregates import Answers
from storage.answers.event_search import STATEMENT_TIMEOUT, EventArchive
from storage.database.pool import open_pool
from storage.database.revision import head_revision
from storage.privacy.audit import append_entries
from stream.entries.lag import GroupLag, consistent_through, measure
from stream.registry.api_keys import KeySync
from stream.server.connection import connect
from stream.server.health import primary
from telemetry import internal_events as telemetry
from telemetry.connections import ConnectionMetrics
from telemetry.exposition import publish_process
from telemetry.health import Check, Readiness
from telemetry.process_facts import measure_process
from web.credentials import configured_keys
from web.server.http_server import serve_http
from web.server.listener import public_listener

_NAME: Final = "dashboard"
_SEARCHES_AT_ONCE: Final = 2
_AUDIT_WRITERS: Final = 1


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, drain, then finish requests in flight.

    Raises ConfigurationError or StorageUnavailable.
    """
    with drain_on_signals(settings.drain_seconds) as shutdown:
        stop = shutdown.stop
        async with open_services(settings) as services:
            telemetry.process_started(_NAME, publish_process(settings))
            app = create_app(services, shutdown.drain)
            # present objects stay until the end: a garbage collection that visits them stops all answers for 80 ms
            gc.freeze()
            await run_together(
                stop,
                serve_http(
                    app,
                    public_listener(settings, settings.dashboard_host, settings.dashboard_port),
                    stop,
                    drain=shutdown.drain,
                    websocket_path=SOCKET_PATH,
                    observer=ConnectionMetrics(),
                ),
                # if one of these fails the process ends: answers would become stale, or revoked keys would stay valid
                services.freshness.run(stop),
                services.live.run(stop),
                services.live.drain(shutdown),
                *(follow(stop) for follow in services.followers),
                measure_process(services.readiness, stop, shutdown.drain),
            )
    telemetry.process_stopped(_NAME)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the connections of all services for the block. Raises ConfigurationError or StorageUnavailable."""
    keys = configured_keys(settings)
    tokens, key_set = await _token_verifier(settings)
    partitions = range(settings.stream_partitions)
    async with AsyncExitStack() as stack:
        redis = connect(
            settings, role="dashboard", database_connections=settings.db_pool_size + _AUDIT_WRITERS + _SEARCHES_AT_ONCE
        )
        stack.push_async_callback(redis.aclose)
        pool = await open_pool(
            settings.database_dsn,
            size=settings.db_pool_size,
            application_name="studyin-dashboard",
            read_only=True,
            lazy=True,
            same_statements=True,
        )
        stack.push_async_callback(pool.close)
        # a separate pool: the pool of the answers is read-only
        log = await open_pool(
            settings.database_dsn,
            size=_AUDIT_WRITERS,
            application_name="studyin-dashboard-audit",
            lazy=True,
            same_statements=True,
        )
        stack.push_async_callback(log.close)
        # a separate pool, so that no answer waits for searches
        archive = await open_pool(
            settings.database_dsn,
            size=_SEARCHES_AT_ONCE,
            application_name="studyin-dashboard-search",
            statement_timeout=STATEMENT_TIMEOUT,
            read_only=True,
            lazy=True,
            same_statements=True,
        )
        stack.push_async_callback(archive.close)
        answers = Answers(pool)

        async def sample() -> datetime:
            return await consistent_through(redis, partitions)

        async def lags() -> Sequence[GroupLag]:
            return [await measure(redis, partition) for partition in partitions]

        async def ping_redis() -> str:
            return await primary(redis)

        yield Services(
            answers=answers,
            archive=EventArchive(archive),
            freshness=Freshness(sample, utc_now),
            authenticator=Authenticator(keys, tokens, settings.pseudonymizer()),
            followers=[
                KeySync(redis, keys).run,
                *([key_set.run] if key_set else []),
                PlatformHealth(answers, utc_now).run,
            ],
            privacy=PrivacyService(settings.database_dsn, redis, partitions, utc_now),
            audit=AuditTrail(partial(append_entries, log, retention=settings.audit_retention)),
            live=Hub(redis, partitions=settings.stream_partitions),
            subscriber_limits=SubscriberLimits(
                settings.live_max_subscribers,
                settings.live_max_per_caller or None,
                settings.live_max_per_address or None,
            ),
            curve=LevelCurve(settings.level_base_xp, settings.level_growth_xp),
            session_timeout=timedelta(minutes=settings.session_timeout_minutes),
            system_metrics_retention=settings.system_metrics_retention,
            min_group_size=settings.min_group_size,
            readiness=Readiness(
                [
                    *readiness_checks(answers, head_revision(), ping_redis, lags),
                    *([Check("learner_keys", key_set.check)] if key_set else []),
                ]
            ),
            clock=utc_now,
            cors_origins=settings.cors_origins,
            shows_page=settings.environment == "dev",
        )


async def _token_verifier(settings: Settings) -> tuple[TokenVerifier | None, KeySetSource | None]:
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, timedelta(seconds=settings.jwt_leeway_seconds))
    if settings.jwt_jwks is None:
        secret = settings.learner_secret()
        return (TokenVerifier(shared_secret(secret), rules) if secret else None), None
    keys = KeySet()
    source = KeySetSource(settings.jwt_jwks, keys)
    try:
        await source.load()
    except KeySetUnavailable as error:
        # the service is not ready until the keys are read
        telemetry.key_set_unreadable(error)
    return TokenVerifier(keys.find, rules, source.request_refresh), source
