"""Every metric, declared once with its kind, unit and meaning.

Label values that are known beforehand start at zero, so that a rate exists before the first event. Memory, CPU and
open files of the process come from the client library's own collectors.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info

from schemas.catalogue import EventType
from telemetry.labels import BatchStage

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_BATCH_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_END_TO_END_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_SIZES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)

registry: Final = REGISTRY

BUILD = Info("analytics_build", "Version of this process.")

INGEST_REQUESTS = Counter(
    "analytics_ingest_requests_total", "Requests answered by ingest, by route template and status.", ["route", "code"]
)
INGEST_EVENTS = Counter("analytics_ingest_events_total", "Events ingest was sent, by what became of them.", ["outcome"])
INGEST_ACCEPTED = Counter("analytics_ingest_accepted_events_total", "Events accepted, by type.", ["event_type"])
INGEST_DEFECTS = Counter(
    "analytics_ingest_defects_total", "Faults of ingest that were confined to one event, whose sender repeats it."
)
INGEST_DURATION = Histogram(
    "analytics_ingest_request_duration_seconds",
    "Time from the request's head to its answer.",
    ["route"],
    buckets=_REQUEST_SECONDS,
)
INGEST_BATCH_EVENTS = Histogram("analytics_ingest_batch_events", "Events of one request.", buckets=_SIZES)
INGEST_PERSONAL = Counter(
    "analytics_ingest_personal_data_total",
    "Texts of events that could name a person, by what became of them.",
    ["outcome"],
)
DETECTOR_FAILURES = Counter(
    "analytics_ingest_detector_failures_total",
    "Times a validator of personal data raised; its answer counted as no.",
    ["detector"],
)
INGEST_BACKPRESSURE = Counter(
    "analytics_ingest_backpressure_total", "Requests refused with 429 or 503 for now.", ["reason"]
)
SEGMENT_EVENTS = Counter(
    "analytics_segment_events_total", "Calls of Segment's clients, by what became of them.", ["outcome"]
)
SDK_DROPPED = Counter(
    "analytics_sdk_dropped_events_total", "Events that senders say they dropped before they sent them.", ["source"]
)
INGEST_HELD_EVENTS = Gauge("analytics_ingest_held_events", "Accepted events that wait for the stream's answer.")
PUBLISH_DURATION = Histogram(
    "analytics_stream_publish_duration_seconds", "Time of one append of many events.", buckets=_REQUEST_SECONDS
)
PUBLISH_EVENTS = Histogram("analytics_stream_publish_events", "Events of one append.", buckets=_SIZES)

LAG_ENTRIES = Gauge(
    "analytics_consumer_lag_entries", "Entries a group has not been given yet.", ["stream", "consumer_group"]
)
LAG_SECONDS = Gauge(
    "analytics_consumer_lag_seconds", "Age of the oldest entry a group has not settled.", ["stream", "consumer_group"]
)
LAG_KNOWN = Gauge(
    "analytics_consumer_lag_known", "1 when Redis can tell the lag, else 0.", ["stream", "consumer_group"]
)
PENDING_ENTRIES = Gauge(
    "analytics_consumer_pending_entries", "Entries given to a worker and not settled.", ["stream", "consumer_group"]
)
OLDEST_NEEDED = Gauge(
    "analytics_stream_group_oldest_needed_seconds",
    "Age of the oldest entry that groups of a kind keep from being trimmed.",
    ["stream", "consumer_group"],
)
STREAM_LENGTH = Gauge("analytics_stream_length_entries", "Entries in the stream, settled ones included.", ["stream"])
STREAM_MEMORY = Gauge("analytics_redis_memory_bytes", "Memory Redis uses.")

CONSUMED_EVENTS = Counter(
    "analytics_consumed_events_total", "Entries settled by workers, by their fate.", ["consumer_group", "result"]
)
DEAD_LETTERS = Counter("analytics_dead_lettered_events_total", "Entries parked in dead_letters.", ["reason"])
REDELIVERED = Counter("analytics_redelivered_events_total", "Entries that came again and were settled already.")
ID_CONFLICTS = Counter(
    "analytics_event_id_conflicts_total",
    "Events dropped as duplicates of another event with their id, by what differs.",
    ["differs"],
)
CLAIMED = Counter("analytics_claimed_entries_total", "Entries taken over from a worker that was idle too long.")
LOST = Counter("analytics_lost_entries_total", "Entries that were removed from the stream before they were settled.")
RETRIES = Counter("analytics_retries_total", "Calls that failed and are tried again.", ["dependency", "reason"])
STREAM_RECREATED = Counter("analytics_stream_recreated_total", "Times a consumer group was gone and was made again.")
STREAM_REWINDS = Counter("analytics_stream_rewinds_total", "Times a stream was found to have less than it had had.")
BATCH_DURATION = Histogram(
    "analytics_batch_duration_seconds", "Time a batch spent in a stage.", ["stage"], buckets=_BATCH_SECONDS
)
BATCH_EVENTS = Histogram("analytics_batch_events", "Entries of one batch.", buckets=_SIZES)
END_TO_END = Histogram(
    "analytics_end_to_end_seconds",
    "Time from receipt by ingest to the commit, of the oldest event of a batch.",
    ["consumer_group"],
    buckets=_END_TO_END_SECONDS,
)
LAST_COMMIT = Gauge("analytics_last_commit_timestamp_seconds", "Unix time of the last commit.", ["consumer_group"])
POOL_CONNECTIONS = Gauge("analytics_db_pool_connections", "Postgres connections of this process.", ["state"])

CHORE_RUNS = Counter("analytics_maintenance_runs_total", "Turns of a maintenance chore.", ["chore", "outcome"])
CHORE_DURATION = Histogram(
    "analytics_maintenance_duration_seconds", "Time of a maintenance chore.", ["chore"], buckets=_BATCH_SECONDS
)
IS_LEADER = Gauge("analytics_maintenance_leader", "1 in the process that leads maintenance.")
PARTITION_WEEKS_AHEAD = Gauge("analytics_partition_weeks_ahead", "Weeks for which raw partitions exist.")

ERASURE_RESIDUE = Gauge(
    "analytics_erasure_residue_seconds",
    "Age of the oldest erasure whose bytes are not purged from the files of a store yet; 0 is none.",
    ["store"],
)

AUTHENTICATION_FAILURES = Counter(
    "analytics_authentication_failures_total",
    "Requests whose credentials were not good: refused, or told to wait after too many.",
    ["reason"],
)

REFUSED_REQUESTS = Counter(
    "analytics_refused_requests_total", "Requests that no application was given, by why.", ["code"]
)

JWKS_KEYS = Gauge("analytics_jwks_keys", "Keys of the JWKS that was read last, by whether they can be used.", ["state"])
READ_REQUESTS = Counter(
    "analytics_read_requests_total", "Requests answered by the read service, by route and status.", ["route", "code"]
)
READ_DURATION = Histogram(
    "analytics_read_request_duration_seconds", "Time to answer a question.", ["route"], buckets=_REQUEST_SECONDS
)
OPEN_CONNECTIONS = Gauge("analytics_open_connections", "Open connections to the HTTP listener of this process.")
REFUSED_CONNECTIONS = Counter(
    "analytics_refused_connections_total", "Connections refused, or closed to make room, by reason.", ["reason"]
)
LIVE_SUBSCRIBERS = Gauge("analytics_live_subscribers", "Open connections that are sent live events.", ["transport"])
LIVE_FRAMES = Counter("analytics_live_frames_total", "Frames sent to subscribers, heartbeats too.", ["transport"])
LIVE_MESSAGES = Counter("analytics_live_messages_total", "Live events sent, once for each subscriber.", ["transport"])
LIVE_RESYNCS = Counter(
    "analytics_live_resyncs_total", "Times a subscriber was told that it missed events that are known no more."
)
LIVE_BEHIND = Counter("analytics_live_behind_total", "Times a subscriber was too slow and fell out of memory's reach.")
LIVE_UNREADABLE = Counter("analytics_live_unreadable_messages_total", "Live messages that are not of our form.")
STALENESS = Gauge("analytics_aggregate_staleness_seconds", "Age of consistent_through when it was last sampled.")

INGEST_ROUTES: Final = (
    "/api/analytics/events/track",
    "/api/analytics/events/batch",
    "/v1/batch",
    "/v1/track",
    "/v1/identify",
    "/v1/page",
    "/v1/screen",
    "/v1/group",
    "/v1/alias",
)
INGEST_CODES: Final = ("200", "202", "207", "400", "401", "403", "413", "415", "422", "429", "500", "503")
JWKS_STATES: Final = ("used", "skipped")
READ_CODES: Final = ("200", "400", "401", "403", "422", "429", "500", "503")
LIVE_CODES: Final = ("101", "401", "403", "422", "426", "429", "500", "503")
CONNECTION_REFUSAL_REASONS: Final = ("total", "address", "idle_closed", "descriptors")
LIVE_TRANSPORTS: Final = ("websocket", "sse")
AUTHENTICATION_FAILURE_REASONS: Final = ("invalid_credentials", "too_many_failures")
GROUPS: Final = ("store", "live")
GROUP_KINDS: Final = (*GROUPS, "other", "ignored")
"""`other`: groups that this system did not make; `ignored`: those among them that trimming does not wait for."""
OUTCOMES: Final = ("accepted", "rejected", "retry")
SEGMENT_OUTCOMES: Final = ("accepted", "rejected", "retry", "unknown_event", "ignored")
PERSONAL_OUTCOMES: Final = ("rejected", "personal_data", "endpoint_template")
DETECTORS: Final = (
    "luhn",
    "codice_fiscale",
    "nir",
    "dni",
    "nie",
    "cpf",
    "aadhaar",
    "ric",
    "iban",
    "ip_address",
    "phone",
    "phone_us",
    "phone_gb",
    "phone_it",
    "phone_de",
    "phone_fr",
    "phone_es",
)
BACKPRESSURE_REASONS: Final = (
    "queue_full",
    "stream_unavailable",
    "draining",
    "not_durable",
    "memory_short",
    "stream_full",
    "backlog_full",
    "rate_limited",
)
FAILURES: Final = {
    "stream": ("connection", "timeout", "out_of_memory"),
    "storage": ("connection", "timeout", "missing_partition"),
}
DEAD_LETTER_REASONS: Final = (
    "unknown_event_type",
    "missing_field",
    "invalid_field",
    "invalid_text",
    "event_id_time_out_of_range",
    "before_retention_horizon",
    "rejected_by_database",
)
RESULTS: Final = {
    "store": ("stored", "duplicate", "suppressed", "dead_lettered", "redelivered"),
    "live": ("published", "duplicate", "suppressed", "unreadable", "skipped", "redelivered"),
}
ID_DIFFERENCES: Final = ("event_type", "learner")
POOL_STATES: Final = ("idle", "used")
STORES: Final = ("redis", "postgres")

for _route in INGEST_ROUTES:
    INGEST_DURATION.labels(_route)
    for _code in INGEST_CODES:
        INGEST_REQUESTS.labels(_route, _code)
for _reason in CONNECTION_REFUSAL_REASONS:
    REFUSED_CONNECTIONS.labels(_reason)
for _transport in LIVE_TRANSPORTS:
    for _metric in (LIVE_SUBSCRIBERS, LIVE_FRAMES, LIVE_MESSAGES):
        _metric.labels(_transport)
for _outcome in PERSONAL_OUTCOMES:
    INGEST_PERSONAL.labels(_outcome)
for _detector in DETECTORS:
    DETECTOR_FAILURES.labels(_detector)
for _outcome in OUTCOMES:
    INGEST_EVENTS.labels(_outcome)
for _outcome in SEGMENT_OUTCOMES:
    SEGMENT_EVENTS.labels(_outcome)
for _event_type in EventType:
    INGEST_ACCEPTED.labels(_event_type.value)
for _reason in BACKPRESSURE_REASONS:
    INGEST_BACKPRESSURE.labels(_reason)
for _reason in AUTHENTICATION_FAILURE_REASONS:
    AUTHENTICATION_FAILURES.labels(_reason)
for _group in GROUPS:
    END_TO_END.labels(_group)
    for _result in RESULTS[_group]:
        CONSUMED_EVENTS.labels(_group, _result)
for _state in JWKS_STATES:
    JWKS_KEYS.labels(_state)
for _difference in ID_DIFFERENCES:
    ID_CONFLICTS.labels(_difference)
for _stage in BatchStage:
    BATCH_DURATION.labels(_stage.value)
for _state in POOL_STATES:
    POOL_CONNECTIONS.labels(_state)
for _store in STORES:
    ERASURE_RESIDUE.labels(_store)
for _dependency, _reasons in FAILURES.items():
    for _reason in _reasons:
        RETRIES.labels(_dependency, _reason)
for _reason in DEAD_LETTER_REASONS:
    DEAD_LETTERS.labels(_reason)
