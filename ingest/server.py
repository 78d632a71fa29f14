"""Puts ingest together and serves it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.acceptance.accept import AcceptancePolicy
from ingest.acceptance.learner_pseudonyms import LearnerPseudonyms
from ingest.app import IngestApp, answer_defect
from ingest.append_queue import AppendQueue
from ingest.backpressure import Limits, PressureGauge
from ingest.intake import Intake
from ingest.openapi import openapi
from ingest.privacy.firewall import Action, Firewall
from ingest.routes import EventRoutes
from ingest.segment.mapping import read_mapping
from ingest.segment.routes import ALIASES, SegmentRoutes
from ingest.segment.unmapped import UnmappedNames
from runtime.clock import utc_now
from runtime.lifecycle import run_together, stop_on_signals
from runtime.settings import Durability, Settings
from stream.api_keys import follow_keys
from stream.connection import Redis, connect
from stream.health import append_only_file, ping
from stream.load import measure_load
from stream.producer import Producer
from stream.tombstones import follow_tombstones
from stream.unmapped import add_unmapped
from telemetry import events as telemetry
from telemetry.connections import ConnectionMetrics
from telemetry.exposition import publish_build
from telemetry.health import Check
from telemetry.status import status_routes
from web.credentials import AccessKeys, configured_keys
from web.documentation import CONTENT_SECURITY_POLICY, documentation_files
from web.server.http_server import serve_http
from web.server.listener import public_listener
from web.static_file import StaticFile

LANES: Final = 4
"""Appends under way at once: while one waits for the disk of Redis, the next is made ready."""

CONFIRMING_LANES: Final = 8
"""The same where each waits for a replica too, or a disk of its own accord; these take many together."""


async def serve(settings: Settings) -> None:
    """Serve ingest until SIGTERM or SIGINT; requests in flight are finished. Raises ConfigurationError."""
    with stop_on_signals() as stop:
        redis = connect(settings)
        gauge = open_gauge(settings, redis)
        keys = configured_keys(settings)
        policy = acceptance_policy(settings)
        followers = [follow_keys(redis, keys, stop), follow_tombstones(redis, policy.pseudonyms.renew, stop)]
        unmapped = open_unmapped(redis)
        app = create_app(settings, redis, stop, gauge, keys, policy, unmapped)
        await gauge.sample()
        telemetry.process_started("ingest", publish_build())
        try:
            await run_together(
                stop,
                serve_http(
                    app,
                    public_listener(settings, settings.ingest_host, settings.ingest_port),
                    stop,
                    observer=ConnectionMetrics(),
                ),
                gauge.watch(stop),
                unmapped.keep_writing(stop),
                *followers,
            )
        finally:
            await redis.aclose()
            telemetry.process_stopped("ingest")


def acceptance_policy(settings: Settings) -> AcceptancePolicy:
    """Return what holds for every event. Raises ConfigurationError."""
    pseudonymizer = settings.pseudonymizer()
    actions = {name: Action(action) for name, action in settings.pii_actions.items()}
    return AcceptancePolicy(
        LearnerPseudonyms(pseudonymizer), Firewall(actions, pseudonymizer, settings.pii_allow), settings.raw_retention
    )


def lanes_of(durability: Durability) -> int:
    """Return how many appends should be under way at once."""
    return CONFIRMING_LANES if durability in ("local", "replica") else LANES


def open_gauge(settings: Settings, redis: Redis) -> PressureGauge:
    """Return a gauge of this Redis that has not looked yet."""
    return PressureGauge(lambda: measure_load(redis, settings.stream_partitions), Limits.of(settings))


def open_unmapped(redis: Redis) -> UnmappedNames:
    """Return the gathered names of this Redis; nothing is written yet."""
    return UnmappedNames(lambda counts: add_unmapped(redis, counts, utc_now()))


def create_app(
    settings: Settings,
    redis: Redis,
    stop: asyncio.Event,
    gauge: PressureGauge | None = None,
    keys: AccessKeys | None = None,
    policy: AcceptancePolicy | None = None,
    unmapped: UnmappedNames | None = None,
) -> IngestApp:
    """Return the application; nothing is sent to Redis yet. Raises ConfigurationError.

    `gauge` is watched by whoever gives it; without one only Redis itself refuses. `keys` and `policy` are kept up to
    date, and `unmapped` is written, by whoever gives them; without, those of the settings hold and nothing is written.
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
    checks = [Check("redis", lambda: ping(redis))]
    if settings.needs_append_only_file:
        checks.append(Check("append_only_file", lambda: append_only_file(redis)))
    document = JSONResponse(openapi()).body

    async def describe(_request: Request) -> Response:
        return StaticFile(document, media_type="application/json")

    routes = [
        *status_routes(checks, stop=stop),
        Route("/openapi.json", describe, methods=["GET"]),
        *(
            Route(path, _file(*file), methods=["GET"])
            for path, file in documentation_files("StudyIn Analytics, ingest").items()
        ),
    ]
    endpoints = {**EventRoutes(intake).endpoints, **segment.endpoints}
    others = Starlette(routes=routes, exception_handlers={Exception: answer_defect})
    others.router.redirect_slashes = False
    return IngestApp(endpoints, others, frozenset(route.path for route in routes), ALIASES)


def _file(media_type: str, content: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_request: Request) -> Response:
        headers = {"content-type": media_type, "content-security-policy": CONTENT_SECURITY_POLICY}
        return StaticFile(content, headers=headers)

    return answer
