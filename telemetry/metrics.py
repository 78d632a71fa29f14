"""Every metric, declared once with its kind, unit and meaning.

Series whose label values are known start at zero, so that a rate exists before the first event. `telemetry/roles.py`
says which process exports which metric. The facts that only the leader of maintenance knows are in
`telemetry/leader_facts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info, Metric, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from schemas.catalogue import EventType
from telemetry.labels import (
    AuthenticationFailure,
    BackpressureReason,
    BatchStage,
    CertificateLoad,
    ConnectionRefusal,
    DeadLetterReason,
    GroupKind,
    IdDifference,
    IngestOutcome,
    KeyState,
    LiveResult,
    LiveTransport,
    PoolState,
    SegmentOutcome,
    StoreResult,
    TextOutcome,
)

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_BATCH_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_END_TO_END_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_DELAY_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)

# the client has no types for this function
_disable_created: Callable[[], None] = disable_created_metrics
# a series with the creation time of each counter would double the number of series
_disable_created()

registry: Final = REGISTRY
"""Holds every metric. A process exports a part of them."""


class LateGauge(Gauge):
    """A gauge without a sample until it is set: 0 would be a statement."""

    def __init__(self, name: str, documentation: str) -> None:
        super().__init__(name, documentation)
        self.set(math.nan)

    def collect(self) -> Iterable[Metric]:
        """Return the family, with its sample once it is set."""
        [family] = super().collect()
        family.samples = [sample for sample in family.samples if not math.isnan(sample.value)]
        return [family]


BUILD = Info("analytics_build", "Version of this process, and the commit that it was built from.")
SETTINGS = Info("analytics_settings", "Settings that must be equal in every process.")
READY = Gauge("analytics_ready", "1 if this process is ready, as `/readyz` reports it, else 0.")
EVENT_LOOP_DELAY = Histogram(
    "analytics_event_loop_delay_seconds",
    "By how much the event loop was late to continue a task that was due.",
    buckets=_DELAY_SECONDS,
)
REDIS_POOL_CONNECTIONS = Gauge("analytics_redis_pool_connections", "Redis connections of this process.", ["state"])

INGEST_REQUESTS = Counter(
    "analytics_ingest_requests_total", "Requests answered by ingest, by route template and status.", ["route", "code"]
)
INGEST_EVENTS = Counter("analytics_ingest_events_total", "Events sent to ingest, by outcome.", ["outcome"])
INGEST_ACCEPTED = Counter("analytics_ingest_accepted_events_total", "Events accepted, by type.", ["event_type"])
INGEST_DEFECTS = Counter(
    "analytics_ingest_defects_total", "Faults of ingest that were confined to one event. Its sender repeats it."
)
INGEST_DURATION = Histogram(
    "analytics_ingest_request_duration_seconds",
    "Time from the head of a request to its answer.",
    ["route"],
    buckets=_REQUEST_SECONDS,
)
INGEST_BATCH_EVENTS = Histogram("analytics_ingest_batch_events", "Events in one request.", buckets=_SIZES)
INGEST_PERSONAL = Counter(
    "analytics_ingest_personal_data_total",
    "Texts of events that could name a person, by outcome.",
    ["outcome"],
)
DETECTOR_FAILURES = Counter(
    "analytics_ingest_detector_failures_total",
    "Times a validator of personal data raised an error; the text counted as harmless.",
    ["detector"],
)
INGEST_BACKPRESSURE = Counter(
    "analytics_ingest_backpressure_total", "Requests refused temporarily, with 429 or 503.", ["reason"]
)
SEGMENT_EVENTS = Counter("analytics_segment_events_total", "Calls of Segment's clients, by outcome.", ["outcome"])
SDK_DROPPED = Counter(
    "analytics_sdk_dropped_events_total", "Events that senders report to have dropped before sending.", ["source"]
)
INGEST_HELD_EVENTS = Gauge("analytics_ingest_held_events", "Accepted events that wait for the reply of the stream.")
PUBLISH_DURATION = Histogram(
    "analytics_stream_publish_duration_seconds", "Duration of one append of many events.", buckets=_REQUEST_SECONDS
)
PUBLISH_EVENTS = Histogram("analytics_stream_publish_events", "Events in one append.", buckets=_SIZES)

CONSUMED_EVENTS = Counter(
    "analytics_consumed_events_total", "Entries settled by workers, by result.", ["consumer_group", "result"]
)
DEAD_LETTERS = Counter("analytics_dead_lettered_events_total", "Entries parked in dead_letters, by reason.", ["reason"])
REDELIVERED = Counter("analytics_redelivered_events_total", "Entries that were delivered again and had been settled.")
ID_CONFLICTS = Counter(
    "analytics_event_id_conflicts_total",
    "Events dropped as duplicates of a different event with the same id, by what differs.",
    ["differs"],
)
CLAIMED = Counter("analytics_claimed_entries_total", "Entries claimed from a worker that was idle too long.")
LOST = Counter("analytics_lost_entries_total", "Entries that left the stream before they were settled.")
RETRIES = Counter("analytics_retries_total", "Calls that failed and are retried.", ["dependency", "reason"])
STREAM_RECREATED = Counter("analytics_stream_recreated_total", "Times a missing consumer group was created again.")
STREAM_REWINDS = Counter("analytics_stream_rewinds_total", "Times a stream was found with fewer entries than before.")
BATCH_DURATION = Histogram(
    "analytics_batch_duration_seconds", "Time that a batch spent in a stage.", ["stage"], buckets=_BATCH_SECONDS
)
BATCH_EVENTS = Histogram("analytics_batch_events", "Entries in one batch.", buckets=_SIZES)
END_TO_END = Histogram(
    "analytics_end_to_end_seconds",
    "Time from receipt by ingest to the commit, of the oldest event of a batch.",
    ["consumer_group"],
    buckets=_END_TO_END_SECONDS,
)
LAST_COMMIT = Gauge("analytics_last_commit_timestamp_seconds", "Unix time of the last commit.", ["consumer_group"])
POOL_CONNECTIONS = Gauge(
    "analytics_db_pool_connections", "Postgres connections of this process, by pool.", ["pool", "state"]
)
POOL_WAIT = Histogram(
    "analytics_db_pool_wait_seconds",
    "Time that a call waited for a connection of the pool, including the time to open one.",
    ["pool"],
    buckets=_REQUEST_SECONDS,
)

CHORE_RUNS = Counter("analytics_maintenance_runs_total", "Runs of a maintenance chore.", ["chore", "outcome"])
CHORE_DURATION = Histogram(
    "analytics_maintenance_duration_seconds", "Duration of a maintenance chore.", ["chore"], buckets=_BATCH_SECONDS
)
IS_LEADER = Gauge("analytics_maintenance_leader", "1 in the process that leads maintenance, else 0.")

AUTHENTICATION_FAILURES = Counter(
    "analytics_authentication_failures_total",
    "Requests with refused credentials, by reason.",
    ["reason"],
)

REFUSED_REQUESTS = Counter(
    "analytics_refused_requests_total", "Requests refused before they reached the application, by code.", ["code"]
)

CERTIFICATE_EXPIRY = LateGauge(
    "analytics_tls_certificate_expiry_timestamp_seconds",
    "Unix time at which the served certificate expires. No series without TLS.",
)
CERTIFICATE_LOADS = Counter(
    "analytics_tls_certificate_loads_total",
    "Times the files of the certificate were read at the start or after a change, by whether they could be used.",
    ["result"],
)
JWKS_KEYS = Gauge("analytics_jwks_keys", "Keys of the current JWKS, by whether they can be used.", ["state"])
READ_REQUESTS = Counter(
    "analytics_read_requests_total", "Requests answered by the read service, by route and status.", ["route", "code"]
)
READ_DURATION = Histogram(
    "analytics_read_request_duration_seconds",
    "Time from the head of a request to its answer.",
    ["route"],
    buckets=_REQUEST_SECONDS,
)
OPEN_CONNECTIONS = Gauge("analytics_open_connections", "Open connections to the HTTP listener of this process.")
REFUSED_CONNECTIONS = Counter(
    "analytics_refused_connections_total", "Connections refused, or closed to make room, by reason.", ["reason"]
)
LIVE_SUBSCRIBERS = Gauge("analytics_live_subscribers", "Open connections of live subscribers.", ["transport"])
LIVE_FRAMES = Counter("analytics_live_frames_total", "Frames sent to subscribers, including heartbeats.", ["transport"])
LIVE_MESSAGES = Counter(
    "analytics_live_messages_total", "Live events sent, counted once per subscriber.", ["transport"]
)
LIVE_RESYNCS = Counter("analytics_live_resyncs_total", "Times a subscriber was notified of missed events.")
LIVE_BEHIND = Counter(
    "analytics_live_behind_total", "Times a subscriber was so slow that its events had to be read from Redis."
)
LIVE_UNREADABLE = Counter("analytics_live_unreadable_messages_total", "Live messages in an unknown form.")
PLATFORM_REQUESTS = Gauge(
    "analytics_platform_requests",
    "Requests to the API of the platform in the current and the previous five minutes, as its services reported them;"
    " NaN if unknown.",
)
PLATFORM_ERROR_RATIO = Gauge(
    "analytics_platform_error_ratio",
    "Share of these requests that the platform answered with a status of 500 or above; NaN if unknown or without"
    " requests.",
)
PLATFORM_P95 = Gauge(
    "analytics_platform_p95_seconds",
    "95th percentile of the duration of these requests; NaN if unknown or without requests.",
)
STALENESS = Gauge("analytics_aggregate_staleness_seconds", "Age of consistent_through at the last sample.")

FAILURES: Final = {
    "stream": ("connection", "timeout", "out_of_memory"),
    "storage": ("connection", "timeout", "missing_partition"),
}


def _start_at_zero(metric: MetricWrapperBase, *values: Iterable[str]) -> None:
    """Create the series of every combination of label values."""
    for combination in product(*values):
        metric.labels(*combination)


_start_at_zero(INGEST_PERSONAL, TextOutcome)
_start_at_zero(INGEST_EVENTS, IngestOutcome)
_start_at_zero(INGEST_ACCEPTED, (one.value for one in EventType))
_start_at_zero(INGEST_BACKPRESSURE, BackpressureReason)
_start_at_zero(SEGMENT_EVENTS, SegmentOutcome)
_start_at_zero(AUTHENTICATION_FAILURES, AuthenticationFailure)
_start_at_zero(REFUSED_CONNECTIONS, ConnectionRefusal)
_start_at_zero(CERTIFICATE_LOADS, CertificateLoad)
_start_at_zero(LIVE_SUBSCRIBERS, LiveTransport)
_start_at_zero(LIVE_FRAMES, LiveTransport)
_start_at_zero(LIVE_MESSAGES, LiveTransport)
_start_at_zero(JWKS_KEYS, KeyState)
_start_at_zero(REDIS_POOL_CONNECTIONS, PoolState)
_start_at_zero(CONSUMED_EVENTS, [GroupKind.STORE], StoreResult)
_start_at_zero(CONSUMED_EVENTS, [GroupKind.LIVE], LiveResult)
_start_at_zero(END_TO_END, [GroupKind.STORE, GroupKind.LIVE])
_start_at_zero(BATCH_DURATION, BatchStage)
_start_at_zero(DEAD_LETTERS, DeadLetterReason)
_start_at_zero(ID_CONFLICTS, IdDifference)
for _dependency, _reasons in FAILURES.items():
    _start_at_zero(RETRIES, [_dependency], _reasons)
