"""Composes the ingest service and serves it."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp

from ingest.acceptance.accept import AcceptancePolicy
from ingest.acceptance.learner_pseudonyms import LearnerPseudonyms
from ingest.app import build_application
from ingest.append_queue import AppendQueue
from ingest.backpressure import Limits, PressureGauge
from ingest.intake import Intake
from ingest.openapi import openapi
from ingest.privacy.firewall import Action, Firewall
from ingest.privacy.validators import VALIDATORS
from ingest.routes import EventRoutes
from ingest.segment.mapping import read_mapping
from ingest.segment.routes import SegmentRoutes
from ingest.segment.unmapped import UnmappedNames
from runtime.clock import utc_now
from runtime.lifecycle import drain_on_signals, run_together
from runtime.settings import Durability, Settings
from stream.entries.producer import Producer
from stream.registry.api_keys import KeySync
from stream.registry.tombstones import TombstoneSync
from stream.registry.unmapped import add_unmapped
from stream.server.connection import Redis, connect
from stream.server.health import append_only_file, primary
from stream.server.load import measure_load
from telemetry import internal_events as telemetry
from telemetry.connections import ConnectionMetrics
from telemetry.exposition import publish_process
from telemetry.health import Check, Readiness
from telemetry.process_facts import measure_process
from telemetry.roles import Role
from web.credentials import AccessKeys, configured_keys
from web.documentation import documentation_routes
from web.openapi import documented_statuses
from web.server.http_server import serve_http
from web.server.listener import public_listener
from web.status import status_routes

LANES: Final = 4
"""Concurrent appends. While one waits for the disk of Redis, the next one is prepared."""

CONFIRMING_LANES: Final = 8
"""Concurrent appends that wait for a replica or a disk. Each carries many events."""


async def serve(settings: Settings) -> None:
    """Serve ingest until SIGTERM or SIGINT, drain, then finish the requests in flight. Raises ConfigurationError."""
    with drain_on_signals(settings.drain_seconds) as shutdown:
        stop = shutdown.stop
        redis = connect(settings, role="ingest")
        gauge = open_gauge(settings, redis)
        keys = configured_keys(settings)
        policy = acceptance_policy(settings)
        unmapped = open_unmapped(redis)
        readiness = open_readiness(settings, redis)
        app = create_app(settings, redis, shutdown.drain, gauge, keys, policy, unmapped, readiness)
        await gauge.sample()
        telemetry.process_started(Role.INGEST, publish_process(settings))
        try:
            await run_together(
                stop,
                serve_http(
                    app,
                    public_listener(settings, settings.ingest_host, settings.ingest_port),
                    stop,
                    drain=shutdown.drain,
                    observer=ConnectionMetrics(),
                ),
                gauge.run(stop),
                measure_process(readiness, stop, shutdown.drain),
                unmapped.run(stop),
                KeySync(redis, keys).run(stop),
                TombstoneSync(redis, policy.pseudonyms.renew).run(stop),
            )
        finally:
            await redis.aclose()
            telemetry.process_stopped(Role.INGEST)


def open_readiness(settings: Settings, redis: Redis) -> Readiness:
    """Return the readiness of ingest, with no check passed yet."""
    checks = [Check("redis", lambda: primary(redis))]
    if settings.needs_append_only_file:
        checks.append(Check("append_only_file", lambda: append_only_file(redis)))
    return Readiness(checks)


def acceptance_policy(settings: Settings) -> AcceptancePolicy:
    """Return the acceptance policy of the settings. Raises ConfigurationError."""
    pseudonymizer = settings.pseudonymizer()
    actions = {name: Action(action) for name, action in settings.pii_actions.items()}
    return AcceptancePolicy(
        LearnerPseudonyms(pseudonymizer), Firewall(actions, pseudonymizer, settings.pii_allow), settings.raw_retention
    )


def lanes_of(durability: Durability) -> int:
    """Return the number of concurrent appends."""
    return CONFIRMING_LANES if durability in ("local", "replica") else LANES


def open_gauge(settings: Settings, redis: Redis) -> PressureGauge:
    """Return a pressure gauge of this Redis, without a sample."""
    return PressureGauge(lambda: measure_load(redis, settings.stream_partitions), Limits.of(settings))


def open_unmapped(redis: Redis) -> UnmappedNames:
    """Return the collector of unmapped names, without any counts."""
    return UnmappedNames(lambda counts: add_unmapped(redis, counts, utc_now()))


def create_app(
    settings: Settings,
    redis: Redis,
    drain: asyncio.Event,
    gauge: PressureGauge | None = None,
    keys: AccessKeys | None = None,
    policy: AcceptancePolicy | None = None,
    unmapped: UnmappedNames | None = None,
    readiness: Readiness | None = None,
) -> ASGIApp:
    """Return the application. Its readiness ends when `drain` is set. Sends nothing to Redis yet.

    The caller samples `gauge`, keeps `keys` and `policy` current, and writes `unmapped`. Defaults: a gauge without
    samples, the keys and the policy of the settings, and names that are never written. Raises ConfigurationError.
    """
    changed_key = settings.pseudonymizer().changed_key
    producer = Producer(redis, settings.stream_partitions, settings.durability, changed_key=changed_key)
    queue = AppendQueue(producer, lanes=lanes_of(settings.durability))
    telemetry.events_held(lambda: queue.held_events)
    intake = Intake(
        keys or configured_keys(settings),
        policy or acceptance_policy(settings),
        queue,
        gauge or open_gauge(settings, redis),
    )
    segment = SegmentRoutes(intake, read_mapping(settings.segment_mapping), unmapped or open_unmapped(redis))
    routes = [*EventRoutes(intake).routes, *segment.routes]
    document = openapi()
    telemetry.prepare_ingest_routes({one.path: documented_statuses(document, one.path) for one in routes})
    telemetry.prepare_detectors(VALIDATORS)
    return build_application(
        [
            *routes,
            *status_routes(Role.INGEST, readiness or open_readiness(settings, redis), drain=drain, is_counted=False),
            *documentation_routes(document, is_counted=False),
        ]
    )
